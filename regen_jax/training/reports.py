"""Reports on held-out data while a stage trains."""

import functools
from pathlib import Path

from regen_jax.training import processes
from regen_jax.training.parallel import Strategy
from regen_jax.training.preemption import Preempted, Preemption
from regen_jax.training.progress import Progress
from regen_jax.training.stage import Frozen, Stage
from regen_jax.training.state import TrainState
from regen_jax.training.summaries import Summaries


class Reports:
    """The reports of a stage.

    They take long, so that a run which is told to stop leaves one at any moment. A file
    in the stage's folder remembers that it is owed, to be made after the next start.
    """

    def __init__(self, stage: Stage, strategy: Strategy, frozen: Frozen, folder: Path):
        self._stage, self._strategy = stage, strategy
        self._frozen = frozen
        self._debt = folder / "unreported"
        self.owed = processes.agree(self._debt.exists())

    def make(
        self,
        step: int,
        state: TrainState,
        summaries: Summaries,
        progress: Progress,
        preemption: Preemption,
    ) -> bool:
        """Shows what is found of a state; false where the run was told to stop."""
        averaged = self._strategy.stored(state).averaged
        try:
            with preemption.at_once():
                found = self._stage.report(self._strategy.local(averaged), self._here)
                summaries.scalars(step, found.scalars)
                summaries.exhibit(step, found.exhibit)
                progress.note(step, found.scalars)
        except Preempted:
            self._debt.touch()
            return False
        self._debt.unlink(missing_ok=True)
        return True

    @functools.cached_property
    def _here(self) -> Frozen:
        return self._strategy.local(self._frozen)
