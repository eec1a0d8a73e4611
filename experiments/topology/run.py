"""Tests whether a run trained on some devices can be used on any others.

    python -m experiments.topology.run --workdir=runs/topology

Runs are trained on one device, on four (a 2 × 2 mesh, then `pmap`), and by two processes
of two devices, which take the judge of the mesh. On 1, 2 and 8 devices each run is then
sampled, evaluated, continued from the checkpoint before its last under another strategy,
and its stages are taken by `init_from`. Parameters must be equal bit for bit; samples,
metrics and continued parameters must agree within tolerances. Prints a table and writes
`topology.json`. Devices are simulated on the host. Runs that exist are not trained again.
"""

import hashlib
import itertools
import json
import math
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import flags

from launch.tables import markdown
from regen_jax.cli import commands, workdir
from regen_jax.cli.evaluate_run import evaluate_run
from regen_jax.cli.load_run import load_run, read_config
from regen_jax.cli.train_run import train_run
from regen_jax.config.build import build
from regen_jax.data.host_features import as_batch
from regen_jax.errors import UserError
from regen_jax.evaluation.inference import TrainedPipeline

DEVICES = flags.DEFINE_multi_integer(
    "devices", [1, 2, 8], "numbers of devices on which runs are read"
)
QUICK = flags.DEFINE_bool(
    "quick",
    False,
    "evaluate one run on fewest and most devices, and take and continue one on each",
)
# Its fields are passed on to the runs, as they are written.
commands.define_config()
READER = flags.DEFINE_bool("reader", False, "read in this process, on its devices")

WRITERS = {
    "one": (1, 1, ()),
    "mesh": (4, 1, ("axes.data=2", "axes.fsdp=2", "min_size=16")),
    "pmap": (4, 1, ("strategy=pmap",)),
    "processes": (2, 2, ()),
}
"""By name: devices of each process, processes, and fields of `config.parallel`."""

READERS = {
    1: {},
    2: {"strategy": "pmap"},
    8: {"axes": {"data": 2, "fsdp": 4}, "min_size": 16},
}
"""How a run is continued, by the number of devices."""

ENDS = min(READERS), max(READERS)
"""The numbers of devices on which a quick study evaluates a run."""

LARGEST = {
    "samples y_prime": 0.0,
    "samples y": 1.0,
    "metrics": 1e-3,
    "continued": 5e-3,
}
"""Largest differences allowed: of codes, of gray levels, relative to a metric, and relative
to the largest value of an array. Where a gradient is rounding error alone, as that of the
bias of attention keys, Adam still takes full steps."""

TIMES = ("seconds", "second", "factor", "latency", "throughput")
SAMPLES = 8


def write(folder: Path, name: str, arguments: list[str]) -> None:
    """Trains a run with the flags of this command."""
    devices, processes, parallel = WRITERS[name]
    command = [*arguments, f"--workdir={folder / name}"]
    command += [f"--config.parallel.{field}" for field in parallel]
    if processes > 1:
        taken = f"--config.train.judge.init_from={folder / 'mesh'}"
        launcher = ["launch.local", f"--processes={processes}"]
        launcher += [f"--devices_per_process={devices}", "--"]
        command = [*launcher, *command, taken]
    else:
        command = ["regen_jax.train", *command]
    _run(command, devices)


def read(folder: Path, written: Path, number: int) -> dict[str, Any]:
    """Samples, evaluates, takes and continues each run on the devices of this process."""
    rows = {}
    turn = list(READERS).index(number) + 1
    for index, name in enumerate(WRITERS):
        path, place = written / name, folder / name
        config = read_config(path)
        run = build(config)
        prompts = as_batch(run.task.prompts(SAMPLES), run.regeneration)
        variables = {n: stage.variables for n, stage in load_run(run, path).items()}
        trained = TrainedPipeline(run.task, run.regeneration, variables)
        y_prime, y = trained.sample(prompts)
        place.mkdir(parents=True)
        np.savez(place / "samples.npz", y_prime=y_prime, y=y)
        parameters = digests(variables)
        rows[name] = {"parameters": parameters == _on_disk(path, list(run.train))}
        if not QUICK.value or index == turn:
            taken = _take(config, path, place / "taken")
            rows[name]["init_from"] = parameters == taken
        copy = shutil.copytree(path, place / "copy")
        if not QUICK.value or (name == "mesh" and number in ENDS):
            evaluate_run(copy)
            rows[name]["metrics"] = json.loads((copy / "metrics.json").read_text())
        if not QUICK.value or index == turn:
            rows[name]["continued"] = _continue(config, copy, variables)
    return rows


def digests(variables: Mapping[str, Any]) -> dict[str, str]:
    """Returns a digest of the bits of every array, by its path."""
    return {
        jax.tree_util.keystr(path): _digest(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(variables)
    }


def compare(folder: Path, rows: Mapping[int, Mapping[str, Any]]) -> list[dict]:
    """Returns one row per run and number of devices, compared to the first number."""
    first, *_ = rows
    table = []
    for name, number in itertools.product(WRITERS, rows):
        row, base = rows[number][name], rows[first][name]
        here, there = (
            np.load(folder / f"read-{n}" / name / "samples.npz")
            for n in (number, first)
        )
        entry = {"written by": name, "devices": number}
        entry |= {key: row.get(key) for key in ("parameters", "init_from")}
        for key in ("y_prime", "y"):
            away = np.abs(here[key].astype(float) - there[key])
            entry[f"samples {key}"] = float(np.max(away))
        pair = row.get("metrics"), base.get("metrics")
        entry["metrics"] = _farthest(*pair) if None not in pair else None
        table.append({**entry, "continued": row.get("continued")})
    return table


def wrong(row: Mapping[str, Any]) -> list[str]:
    """Returns the columns of a row that are beyond their tolerance."""
    return [
        *(key for key in ("parameters", "init_from") if row[key] is False),
        *(
            k
            for k, most in LARGEST.items()
            if row[k] is not None and not row[k] <= most
        ),
    ]


def main() -> None:
    """The command."""
    folder = commands.workdir()
    written = folder / "written"
    if READER.value:
        number = jax.device_count()
        place = folder / f"read-{number}"
        rows = read(place, written, number)
        (place / "rows.json").write_text(json.dumps(rows, indent=2))
        return
    given = [a for a in sys.argv[1:] if a.lstrip("-").startswith("config")]
    config = next((a for a in given if "config=" in a), "")
    given = [config or "--config=configs/digits.py:size=tiny"] + [
        a for a in given if a != config
    ]
    for name in WRITERS:
        if not (written / name).exists():
            write(written, name, [*given, "--config.checkpoint.every=5"])
    rows = {}
    for number in DEVICES.value:
        place = folder / f"read-{number}"
        shutil.rmtree(place, ignore_errors=True)
        quick = ["--quick"] if QUICK.value else []
        module = ["experiments.topology.run", "--reader", f"--workdir={folder}", *quick]
        _run(module, number)
        rows[number] = json.loads((place / "rows.json").read_text())
    table = compare(folder, rows)
    (folder / "topology.json").write_text(json.dumps(table, indent=2) + "\n")
    cells = [[_shown(value) for value in row.values()] for row in table]
    print(markdown([[*table[0]], *cells]))
    bad = [f"{r['written by']} on {r['devices']}: {k}" for r in table for k in wrong(r)]
    if bad:
        raise UserError(f"beyond the tolerance: {'; '.join(bad)}")
    print("all parameters are equal bit for bit, and the rest within tolerance")


def _take(config: dict[str, Any], path: Path, place: Path) -> dict[str, str]:
    """Returns digests of a new run that takes all stages of the run in `path`."""
    stages = {
        name: {**section, "init_from": str(path)}
        for name, section in config["train"].items()
    }
    taking = {**config, "train": stages, "parallel": READERS[jax.device_count()]}
    trained = train_run(taking, place)
    return digests({name: stage.variables for name, stage in trained.items()})


def _continue(config: dict, copy: Path, variables: Mapping[str, Any]) -> float:
    """Returns how far the last stage is off when its last steps are trained again."""
    *_, name = variables
    steps = (copy / name / "checkpoints").iterdir()
    shutil.rmtree(max(steps, key=lambda path: int(path.name)))
    parallel = READERS[jax.device_count()]
    again = train_run({**config, "parallel": parallel}, copy)[name].variables
    before, after = (
        jax.tree.leaves(jax.device_get(tree["params"]))
        for tree in (variables[name], again)
    )
    return max(
        float(np.max(np.abs(a - b)) / max(np.max(np.abs(b)), 1e-2))
        for b, a in zip(before, after, strict=True)
    )


def _on_disk(path: Path, stages: list[str]) -> dict[str, str]:
    """Returns the same digests, of arrays read into NumPy without any device."""
    variables = {}
    reader, plain = ocp.PyTreeCheckpointer(), ocp.RestoreArgs(restore_type=np.ndarray)
    for stage in stages:
        step = workdir.latest_step(path, stage)
        state = path / stage / "checkpoints" / str(step) / "state"
        with warnings.catch_warnings(action="ignore"):
            shapes = reader.metadata(state).item_metadata.tree
            tree = reader.restore(
                state, restore_args=jax.tree.map(lambda _: plain, shapes)
            )
        variables[stage] = {**tree["variables"], "params": tree["averages"][0]}
    return digests(variables)


def _digest(leaf: Any) -> str:
    array = np.asarray(leaf)
    text = f"{array.dtype}{array.shape}".encode()
    return hashlib.sha256(text + array.tobytes()).hexdigest()


def _farthest(metrics: Mapping[str, float], base: Mapping[str, float]) -> float:
    """The largest relative difference of two runs' metrics, times left out."""
    if metrics.keys() != base.keys():
        return math.inf
    return max(
        abs(value - base[name]) / max(abs(base[name]), 1e-2)
        for name, value in metrics.items()
        if not any(word in name for word in TIMES)
    )


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.1e}" if value else "0"
    return "–" if value is None else str(value)


def _run(command: list[str], devices: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        # Threads for devices that wait for one another, however few cores there are.
        env={"NPROC": "64", **os.environ, "JAX_NUM_CPU_DEVICES": str(devices)},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise UserError(f"{' '.join(command[:3])} ended with {done.returncode}: {last}")


if __name__ == "__main__":
    commands.run(main)
