"""What tests of launchers share."""

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from launch import commands, pool
from launch.commands import Options

ROOT = Path(__file__).parent.parent.parent

# Stands in for the commands: says what it does, and does what a file of its name says.
STUB = """
import json, os, pathlib, signal, sys, time
command, *flags = sys.argv[1:]
given = dict(flag.split("=", 1) for flag in flags)
folder = pathlib.Path(given["--workdir"])
root = pathlib.Path(os.environ["STUB_ROOT"])
with open(root / "order", "a") as order:
    print(command, folder.name, os.environ.get("CUDA_VISIBLE_DEVICES"), file=order)
said = root / f"{command} {folder.name}"
what = said.read_text() if said.exists() else ""
if what == "once":
    said.unlink()
    sys.exit(75)
if what == "fail":
    sys.exit("working" + chr(10) + "error: it does not work")
if what == "wait":
    signal.signal(signal.SIGTERM, lambda *_: (print("saved"), sys.exit(75)))
    print("waiting", flush=True)
    time.sleep(60)
if command == "train":
    dropout = given.get("--config.prior.dropout", "0")
    (folder / "dropout").write_text(dropout)
if stage := given.get("--stop_after"):
    (folder / stage / "checkpoints" / "20").mkdir(parents=True, exist_ok=True)
if command == "evaluate":
    figure = abs(float((folder / "dropout").read_text()) - 0.1)
    split = given["--split"]
    metrics = {"prior/nll": figure if split == "validation" else -1.0}
    name = {"validation": "metrics_validation.json", "test": "metrics.json"}[split]
    (folder / name).write_text(json.dumps(metrics))
"""


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Runs of a sweep do nothing but what `stub.says(command, name, what)` says."""
    root = tmp_path / "stub"
    root.mkdir()
    (root / "stub.py").write_text(STUB)
    monkeypatch.setenv("STUB_ROOT", str(root))
    monkeypatch.setattr(pool, "POLL_SECONDS", 0.01)
    real = commands.commands_of

    def stubbed(training, options):
        return [
            [sys.executable, "-S", f"{root}/stub.py", command[2].split(".")[1]]
            + command[3:]
            for command in real(training, options)
        ]

    monkeypatch.setattr(commands, "commands_of", stubbed)
    return types.SimpleNamespace(
        says=lambda command, name, what: (root / f"{command} {name}").write_text(what),
        forget=lambda: [path.unlink() for path in root.glob("* *")],
        order=lambda: (root / "order").read_text().splitlines(),
    )


@pytest.fixture(scope="session")
def launched():
    """Runs `python -m launch.name *flags`, as a user starts it."""

    def run(name, *flags, **given):
        return subprocess.run(
            [sys.executable, "-m", f"launch.{name}", *flags],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            **given,
        )

    return run


@pytest.fixture
def options(tmp_path, digits_dir):
    """Options of a sweep over two widths of the prior."""
    path = tmp_path / "sweep.py"
    path.write_text(
        "from launch.algebra import *\n"
        "get_sweep = lambda: over('prior.width', 16, 32)\n"
    )
    return Options(
        f"{ROOT}/configs/digits.py:size=tiny",
        path,
        tmp_path / "run",
        extra=[f"--config.data.dir={digits_dir}"],
    )


@pytest.fixture
def write_sweep(options):
    """Puts (text) below the import of the sweep file of `options`."""

    def write(text):
        options.sweep.write_text(f"from launch.algebra import *\n{text}\n")

    return write


@pytest.fixture
def arguments():
    """Flags of `regen_jax.train` with all that shells, YAML and Kubernetes mind."""
    return [
        "--config=configs/digits.py:abstraction=fsq",
        "--workdir=/runs/a b",
        '--config.data.name=it\'s "quoted" $HOME $(HOME) $(date) `date` \\ # {a: b}',
        "--config.data.dir=two\nlines: - é%!*?[]~",
    ]
