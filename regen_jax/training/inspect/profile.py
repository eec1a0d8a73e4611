"""A trace of some steps, for XProf and Perfetto."""

import dataclasses
from pathlib import Path
from typing import Any

import jax

from regen_jax.ranges import Checked, Natural


@dataclasses.dataclass(frozen=True)
class ProfileOptions(Checked):
    """`config.profile`.

    Attributes:
      steps: of each stage that are recorded.
      skip: steps before.
    """

    steps: Natural = 0
    skip: Natural = 5


class Profiler:
    """Records steps into `<directory>/plugins/profile`, which TensorBoard reads.

    The first steps are skipped since they compile and fill the prefetch buffers.
    """

    def __init__(self, directory: Path, options: ProfileOptions, enabled: bool = True):
        self.directory = directory
        self._left = options.steps if enabled else 0
        self._skip = options.skip
        self._recording = False

    def step(self, number: int) -> jax.profiler.StepTraceAnnotation:
        """Returns a context for a step; starts to record if it is the first to."""
        if self._left and not self._skip and not self._recording:
            jax.profiler.start_trace(self.directory, create_perfetto_trace=True)
            self._recording = True
        return jax.profiler.StepTraceAnnotation("train", step_num=number)

    def after_step(self, result: Any) -> None:
        """Stops after the last step to record, once its result is computed."""
        if self._recording:
            self._left -= 1
            if not self._left:
                jax.block_until_ready(result)
                self.close()
        elif self._skip:
            self._skip -= 1

    def close(self) -> None:
        """Stops if a stage ends before all steps are recorded."""
        if self._recording:
            jax.profiler.stop_trace()
            self._recording = False
