"""Reports on held-out data while a stage trains."""

import functools
import json
import logging
from collections.abc import Mapping
from pathlib import Path

from regen_jax.media.tensorboard import SummaryWriter
from regen_jax.training.parallel import processes
from regen_jax.training.parallel.strategies import Strategy
from regen_jax.training.preemption import Preempted, Preemption
from regen_jax.training.progress import Progress
from regen_jax.training.stage import Frozen, Stage
from regen_jax.training.step import TrainState

logger = logging.getLogger(__name__)


class Reports:
    """The reports of a stage, each of a step that is saved.

    They take long and may fail, so a run can end during one. A file in
    the stage's folder remembers from before the save that a report is owed, and of which
    step: it is made after the next start.
    """

    def __init__(self, stage: Stage, strategy: Strategy, frozen: Frozen, folder: Path):
        self._stage, self._strategy = stage, strategy
        self._frozen = frozen
        self._debt = folder / "unreported.json"

    def owed(self, step: int) -> bool:
        """Returns whether, in any process, a report of that step was due and not made."""
        return processes.agree(self._read().get("step") == step)

    def owe(self, step: int, scalars: Mapping[str, float]) -> None:
        """Remembers that a report is due, and the scalars that were logged at its step."""
        if processes.first():
            self._debt.parent.mkdir(parents=True, exist_ok=True)
            # Renamed once complete, so that a kill leaves no partial file.
            new = self._debt.with_suffix(".new")
            new.write_text(json.dumps({"step": step, "scalars": dict(scalars)}))
            new.rename(self._debt)

    def resume(self, step: int, summaries: SummaryWriter) -> None:
        """Logs again what was logged at the step of a report that is owed.

        TensorBoard hides all that an earlier start wrote at that step: parts of the
        report may be among it.
        """
        summaries.write_scalars(step, self._read().get("scalars", {}))

    def make(
        self,
        step: int,
        state: TrainState,
        summaries: SummaryWriter,
        progress: Progress,
        preemption: Preemption,
    ) -> bool:
        """Makes and logs the report of a state; False if the run was asked to stop.

        An exception in the report is logged in one line.
        """
        averaged = self._strategy.stored(state).averaged
        variables, frozen = self._strategy.local(averaged), self._here
        failure = None
        try:
            with preemption.at_once():
                report = self._stage.report(variables, frozen)
                summaries.write_scalars(step, report.scalars)
                summaries.write_media(step, report.media)
                progress.note(step, report.scalars)
        except Preempted:
            return False
        # A failed report must not end the training.
        except Exception as error:  # noqa: BLE001
            failure = error
        # Each process makes its own report, and may fail alone.
        first_failed = processes.agree(processes.first() and failure is not None)
        if failure is not None and (processes.first() or not first_failed):
            logger.warning(
                "the report of stage '%s' at step %d failed (%s: %s); training goes on",
                *(self._stage.name, step, type(failure).__name__),
                " ".join(str(failure).split()),
            )
        summaries.flush()
        if processes.first():
            self._debt.unlink(missing_ok=True)
        return True

    def _read(self) -> dict:
        try:
            debt = json.loads(self._debt.read_text())
        except (OSError, ValueError):
            return {}
        return debt if isinstance(debt, dict) else {}

    @functools.cached_property
    def _here(self) -> Frozen:
        return self._strategy.local(self._frozen)
