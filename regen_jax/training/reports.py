"""Reports on held-out data while a stage trains."""

import functools
import json
import logging
from collections.abc import Mapping
from pathlib import Path

from regen_jax.files import write_atomically
from regen_jax.media.tensorboard import SummaryWriter
from regen_jax.training.parallel import processes
from regen_jax.training.parallel.strategy import Strategy
from regen_jax.training.preemption import Preemption
from regen_jax.training.progress import Progress
from regen_jax.training.stage import Frozen, Stage
from regen_jax.training.step import TrainState

logger = logging.getLogger(__name__)


class Reports:
    """The reports of a stage, each of a step that is saved.

    They take long and may fail, so a run can end during one. From before the save until
    the report is logged, a file in the stage's folder holds the step of the report: if the
    run ends in between, the report is made after the next start.
    """

    def __init__(self, stage: Stage, strategy: Strategy, frozen: Frozen, folder: Path):
        self._stage, self._strategy = stage, strategy
        self._frozen = frozen
        self._pending = folder / "unreported.json"

    def pending(self, step: int) -> bool:
        """Returns whether the report of a step is still pending in any process."""
        return processes.any_process(self._read().get("step") == step)

    def mark_pending(self, step: int, scalars: Mapping[str, float]) -> None:
        """Records that a report is due, and the scalars that were logged at its step."""
        if processes.is_main():
            self._pending.parent.mkdir(parents=True, exist_ok=True)
            content = {"step": step, "scalars": dict(scalars)}
            write_atomically(self._pending, json.dumps(content))

    def log_again(self, step: int, summaries: SummaryWriter) -> None:
        """Logs again the scalars of the step of a pending report.

        TensorBoard hides all that an earlier start wrote at that step: parts of the
        report may be among it.
        """
        summaries.write_scalars(step, self._read().get("scalars", {}))

    def run(
        self,
        step: int,
        state: TrainState,
        summaries: SummaryWriter,
        progress: Progress,
        preemption: Preemption,
    ) -> None:
        """Makes and logs the report of a state; logs an exception in one line.

        Raises:
          Preempted: the run was asked to stop; the report stays pending.
        """
        progress.reporting(step)
        stored = self._strategy.to_checkpoint_layout(state)
        variables = self._strategy.to_host_copy(stored.averaged)
        failure = None
        try:
            with preemption.at_once():
                report = self._stage.report(variables, self._frozen_host_copy)
                summaries.write_scalars(step, report.scalars)
                summaries.write_media(step, report.media)
                progress.note(step, report.scalars)
        # A failed report must not end the training.
        except Exception as error:
            failure = error
        # Each process makes its own report, and may fail alone.
        main_failed = processes.any_process(processes.is_main() and failure is not None)
        if failure is not None and (processes.is_main() or not main_failed):
            logger.warning(
                "the report of stage '%s' at step %d failed (%s: %s); training goes on",
                *(self._stage.name, step, type(failure).__name__),
                " ".join(str(failure).split()),
            )
        summaries.flush()
        if processes.is_main():
            self._pending.unlink(missing_ok=True)

    def _read(self) -> dict:
        try:
            content = json.loads(self._pending.read_text())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    @functools.cached_property
    def _frozen_host_copy(self) -> Frozen:
        return self._strategy.to_host_copy(self._frozen)
