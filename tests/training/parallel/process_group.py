"""One process of those that test_processes.py starts: `python -m … folder`."""

import contextlib
import dataclasses
import shutil
import sys
from pathlib import Path

import jax
import numpy as np

from regen_jax.training.parallel import processes
from regen_jax.training.parallel.options import MeshAxes, ParallelOptions
from regen_jax.training.parallel.strategies import make_strategy
from regen_jax.training.preemption import Preempted, Preemption
from regen_jax.training.stage import Report
from tests.training.toy import Toy

STRATEGIES = {
    "data": ParallelOptions(axes=MeshAxes(data=4)),
    "fsdp": ParallelOptions(axes=MeshAxes(data=2, fsdp=2), min_size=1),
    "pmap": ParallelOptions("pmap", MeshAxes(data=4)),
}


class AtStep(Preemption):
    """Stops at a step, as if SIGTERM came."""

    def __init__(self, step: int):
        super().__init__()
        self.step = step

    def due(self, step: int) -> bool:
        return step == self.step


def run(folder: Path, name: str, until: int | None = None) -> dict[str, np.ndarray]:
    """Trains the toy to its end or to a step; returns its arrays by name."""
    toy = Toy()
    strategy = make_strategy(STRATEGIES[name])

    def report(variables, frozen):
        # Reports see whole arrays of this process alone.
        assert all(x.is_fully_addressable for x in jax.tree.leaves(variables))
        if name == "pmap" and processes.count() > 1 and not processes.is_main():
            raise ValueError("in one process alone")
        return Report({"toy/sum": float(variables["params"]["kernel"].sum())})

    trained = toy.train(
        folder / name,
        stage=dataclasses.replace(toy.finalizing(), report=report),
        strategy=strategy,
        evaluate_every=3,
        batches=lambda: toy.batches(8, strategy.host_rows(8)),
        preemption=AtStep(until) if until else None,
    )
    variables = jax.device_get(strategy.to_host_copy(trained.variables))
    return variables["params"] | variables["seen"] | variables["moments"]


def run_and_save(folder: Path, name: str) -> None:
    """Trains to the end; the first process saves the arrays."""
    arrays = run(folder, name)
    if processes.is_main():
        np.savez(folder / f"{name}.npz", **arrays)


def damage(folder: Path, name: str) -> None:
    """Cuts the newest checkpoint of a run."""
    newest = folder / name / "toy" / "checkpoints" / "6"
    metadata = next(path for path in newest.rglob("metadata") if path.is_file())
    metadata.write_text(metadata.read_text()[:20])


def main(folder: Path) -> None:
    """Trains; stops; and goes on from a damaged checkpoint, by each strategy."""
    for name in STRATEGIES:
        run_and_save(folder / "trained", name)
        with contextlib.suppress(Preempted):
            run(folder / "stopped", name, until=3)
        with processes.synchronized():
            if processes.is_main():
                (folder / "damaged").mkdir(exist_ok=True)
                shutil.copytree(folder / "trained" / name, folder / "damaged" / name)
                damage(folder / "damaged", name)
        run_and_save(folder / "damaged", name)


if __name__ == "__main__":
    processes.start(sys.exit)
    main(Path(sys.argv[1]))
    processes.exit_cleanly(0)
