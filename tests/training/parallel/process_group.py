"""One process of those that test_processes.py starts: `gang.py folder phase`."""

import contextlib
import dataclasses
import sys
from pathlib import Path

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from conftest import Toy

from regen_jax.training.parallel import processes
from regen_jax.training.parallel.options import MeshAxes, ParallelOptions
from regen_jax.training.parallel.strategies import make_strategy
from regen_jax.training.preemption import Preempted, Preemption
from regen_jax.training.stage import Report

STRATEGIES = {
    "data": ParallelOptions(),
    "fsdp": ParallelOptions(axes=MeshAxes(fsdp=2), min_size=1),
    "pmap": ParallelOptions(strategy="pmap"),
}


class AtStep(Preemption):
    """As if SIGTERM came when a step was taken."""

    def __init__(self, step: int):
        super().__init__()
        self.step = step

    def due(self, step: int) -> bool:
        return step == self.step


def run(folder: Path, name: str, until: int | None = None) -> dict[str, np.ndarray]:
    """Trains the toy, to its end or to a step, and reads back what it learned."""
    toy = Toy()
    strategy = make_strategy(STRATEGIES[name])
    seen = []

    def report(variables, frozen):
        # Reports see whole arrays of this process alone.
        assert all(x.is_fully_addressable for x in jax.tree.leaves(variables))
        if name == "pmap" and processes.count() > 1 and not processes.is_main():
            raise ValueError("in one process alone")
        seen.append(float(variables["params"]["kernel"].sum()))
        return Report({"toy/sum": seen[-1]})

    trained = toy.train(
        folder / name,
        stage=dataclasses.replace(toy.stage, report=report),
        strategy=strategy,
        evaluate_every=3,
        batches=lambda: toy.batches(8, strategy.host_rows(8)),
        preemption=AtStep(until) if until else None,
    )
    return jax.device_get(strategy.to_host_copy(trained.variables))


def main(folder: Path, phase: str) -> None:
    for name in STRATEGIES:
        if phase == "stop":
            with contextlib.suppress(Preempted):
                run(folder, name, until=3)
            continue
        found = run(folder, name)
        if processes.is_main():
            np.savez(folder / f"{name}-{phase}.npz", **found["params"], **found["seen"])


if __name__ == "__main__":
    processes.start(sys.exit)
    main(Path(sys.argv[1]), sys.argv[2])
    processes.exit_cleanly(0)
