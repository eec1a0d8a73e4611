"""How far a stage is, for the terminal, and how fast it trains."""

import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from typing import Self

from tqdm import tqdm

logger = logging.getLogger(__name__)


class Stopwatch:
    """Measures the seconds of training over all starts of a run, without reports."""

    def __init__(self, seconds: float):
        """Starts to count from `seconds`, those of earlier starts."""
        self._began = time.perf_counter() - seconds

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        paused = time.perf_counter()
        yield
        self._began += time.perf_counter() - paused


class StepTimer:
    """Measures the speed of training steps alone, without evaluation and saving."""

    def __init__(self, batch_size: int, flops: float):
        """Takes the examples and the model FLOPs of a step."""
        self.batch_size, self.flops = batch_size, flops
        self._since: tuple[int, float] | None = None

    def restart(self, step: int) -> None:
        """Starts to measure from this step."""
        self._since = step, time.perf_counter()

    def skip(self, step: int) -> None:
        """Leaves out the time since the last reading, if there was one."""
        if self._since is not None:
            self.restart(step)

    def read(self, step: int) -> dict[str, float]:
        """Returns the speed since the last reading; {} at the first, which compiles."""
        since = self._since
        self.restart(step)
        if since is None or step == since[0]:
            return {}
        seconds = (time.perf_counter() - since[1]) / (step - since[0])
        return {
            "step_seconds": seconds,
            "examples_per_second": self.batch_size / seconds,
            "model_flops_per_second": self.flops / seconds,
        }


class Progress:
    """A bar with the remaining time on a terminal, and lines elsewhere.

    The first step compiles, and a report takes a while: both are said before they begin.
    """

    def __init__(self, stage: str, start: int, steps: int):
        self.stage, self.steps = stage, steps
        self._start, self._began = start, time.perf_counter()
        self._bar = tqdm(
            desc=stage,
            initial=start,
            total=steps,
            unit="step",
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
        )
        if start < steps:
            self._say(start, "compiling")

    def reporting(self, step: int) -> None:
        """Says that a report of this step is being made."""
        self._say(step, "reporting")

    def _say(self, step: int, activity: str) -> None:
        self._bar.set_postfix_str(activity)
        if self._bar.disable:
            logger.info("%s %d/%d: %s", self.stage, step, self.steps, activity)

    def show(self, step: int, scalars: dict[str, float]) -> None:
        """Moves on to `step`; `scalars` hold its `loss`."""
        self._bar.set_postfix_str(f"loss {scalars['loss']:.4f}", refresh=False)
        self._bar.update(step - self._bar.n)
        if self._bar.disable:
            elapsed = time.perf_counter() - self._began
            left = elapsed / (step - self._start) * (self.steps - step)
            logger.info(
                "%s %d/%d loss %.4f, %s left",
                *(self.stage, step, self.steps, scalars["loss"]),
                tqdm.format_interval(left),
            )

    def note(self, step: int, scalars: dict[str, float]) -> None:
        """Prints a line of metrics on held-out data."""
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in scalars.items())
        line = f"{self.stage} {step}/{self.steps} held out: {metrics}"
        if not metrics:
            return
        if self._bar.disable:
            logger.info(line)
        else:
            self._bar.write(line, file=sys.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()
