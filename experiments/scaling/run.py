"""What does a training step send between devices, and what does each of them hold?

    python -m experiments.scaling.run
    python -m experiments.scaling.run --plan

The first compiles a stage of a config for some devices of this host, at a fixed global
batch, and compares what each device sends with the closed form. The second is a plan for
a large prior on many chips, see `scaling_plan.py`. Nothing is trained. With `--workdir`
the rows are also written to `scaling.json` or `plan.json` there.
"""

import json
import os
from typing import Any

import jax
from absl import flags

from experiments.scaling.plan import Chip, Plan, table
from experiments.scaling.programs import bytes_by_place, closed_form, row
from launch.tables import markdown
from regen_jax.cli import commands
from regen_jax.cli.dry_run import steps
from regen_jax.config.build import build
from regen_jax.errors import UserError
from regen_jax.training.inspect.program import Step, analyze, human
from regen_jax.training.parallel.options import MeshAxes, ParallelOptions
from regen_jax.training.parallel.strategies import make_strategy

CONFIG = commands.define_config()
STAGE = flags.DEFINE_string("stage", "prior", "of the config")
DEVICES = flags.DEFINE_multi_integer("devices", [1, 2, 4, 8], "to compile for")
PLAN = flags.DEFINE_bool("plan", False, "a large prior on many chips, on paper")
CHIPS = flags.DEFINE_multi_integer("chips", [256, 4096], "of --plan")
WIDTH = flags.DEFINE_integer("width", Plan.width, "of the prior of --plan")
LAYERS = flags.DEFINE_integer("layers", Plan.num_layers, "of the prior of --plan")
BATCH = flags.DEFINE_integer("batch", Plan.batch, "sequences a chip in --plan")
MOST = flags.DEFINE_integer(
    "most",
    2048,
    "devices to compile --plan for, its most chips are derived from those; a CPU of JAX "
    "cannot have more than 2048",
    upper_bound=2048,
)


def scaling(step: Step, numbers: list[int]) -> list[dict[str, Any]]:
    """A row for each strategy on each number of devices."""
    rows = []
    for number in numbers:
        strategies = {
            "data": ParallelOptions(axes=MeshAxes(data=number)),
            "fsdp": ParallelOptions(axes=MeshAxes(data=1, fsdp=number)),
            "pmap": ParallelOptions("pmap", MeshAxes(data=number)),
        }
        for name, parallel in strategies.items():
            if number == 1 and name != "data":
                continue
            places = bytes_by_place(parallel, step.state.variables["params"])
            expected = closed_form(
                *places, number // parallel.axes.fsdp, parallel.axes.fsdp
            )
            found = row(analyze(step, make_strategy(parallel)), expected)
            rows.append(found | {"strategy": name, "devices": number})
    return rows


def scaling_table(rows: list[dict[str, Any]]) -> str:
    """Rows of `scaling` as Markdown; FLOPs of all devices as a share of the first's."""
    one = rows[0]["flops"] * rows[0]["devices"]
    cells = [
        [
            found["strategy"] if found["devices"] > 1 else "one device",
            found["devices"],
            ", ".join(f"{n} {kind}" for kind, n in found["collectives"].items()) or "–",
            f"{human(found['sent'])}B",
            f"{human(found['closed_form'])}B",
            f"{found['sent'] / found['closed_form']:.2f}"
            if found["closed_form"]
            else "–",
            f"{human(found['flops'])}FLOP",
            f"{found['flops'] * found['devices'] / one:.2f}",
            f"{human(found['arguments'])}B",
            f"{human(found['temporaries'])}B",
        ]
        for found in rows
    ]
    titles = (
        "strategy, devices, collectives a step, sent a device, closed form, ratio, "
        "a device, of all / of one, state and data, temporaries"
    )
    return markdown([titles.split(", "), *cells])


def main() -> None:
    """Runs the study, and writes its results."""
    # The same program, with less work on its machine code.
    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_platforms", "cpu")
    numbers = sorted(set(CHIPS.value if PLAN.value else DEVICES.value))
    jax.config.update("jax_num_cpu_devices", min(numbers[-1], MOST.value))
    if PLAN.value:
        # Accelerators order a program by memory, CPUs for what can run at once.
        os.environ["XLA_FLAGS"] = (
            os.environ.get("XLA_FLAGS", "")
            + " --xla_cpu_enable_concurrency_optimized_scheduler=false"
        )
        plan = Plan(width=WIDTH.value, num_layers=LAYERS.value, batch=BATCH.value)
        rows = [
            plan.compiled(n) if n <= MOST.value else plan.derived(n, MOST.value)
            for n in numbers
        ]
        print(f"{human(rows[0]['parameters'])} parameters: {plan}; on {Chip()}\n")
        print(table(plan, rows, Chip()), end="")
    else:
        rows = scaling(_of_config(), numbers)
        print(
            f"stage '{STAGE.value}': {human(rows[0]['parameters'])} parameters, "
            f"{human(rows[0]['model_flops'])}FLOP a step by the model\n"
        )
        print(scaling_table(rows), end="")
    if commands.WORKDIR.value:
        folder = commands.workdir()
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / ("plan.json" if PLAN.value else "scaling.json")
        path.write_text(json.dumps(rows, indent=2) + "\n")


def _of_config() -> Step:
    """That of the stage that the flags name."""
    run = build(commands.parsed_config(CONFIG))
    for step in steps(run):
        if step.stage.name == STAGE.value:
            return step
    raise UserError(f"--stage={STAGE.value}: the config has {', '.join(run.train)}")


if __name__ == "__main__":
    flags.set_default(CONFIG, "configs/digits.py")
    commands.run(main)
