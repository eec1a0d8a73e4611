"""How far a stage is, for the terminal, and how fast it goes."""

import logging
import sys
import time
from typing import Self

from tqdm import tqdm

logger = logging.getLogger(__name__)


class Pace:
    """Speed of the steps alone: evaluating and saving stop the clock."""

    def __init__(self, batch_size: int, flops: float):
        self.batch_size, self.flops = batch_size, flops
        self._since: tuple[int, float] | None = None

    def pause(self, step: int) -> None:
        """Starts to measure anew from this step."""
        self._since = step, time.perf_counter()

    def read(self, step: int) -> dict[str, float]:
        """Speed since the last reading; empty at the first, which has compilation."""
        since = self._since
        self.pause(step)
        if since is None or step == since[0]:
            return {}
        seconds = (time.perf_counter() - since[1]) / (step - since[0])
        return {
            "step_seconds": seconds,
            "examples_per_second": self.batch_size / seconds,
            "model_flops_per_second": self.flops / seconds,
        }


class Progress:
    """A bar with time left on a terminal, plain lines elsewhere."""

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

    def show(self, step: int, scalars: dict[str, float]) -> None:
        """Moves on to `step`, whose loss is among the scalars."""
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
        """A line of figures on held-out data."""
        figures = ", ".join(f"{name} {value:.4g}" for name, value in scalars.items())
        line = f"{self.stage} {step}/{self.steps} held out: {figures}"
        if not figures:
            return
        if self._bar.disable:
            logger.info(line)
        else:
            self._bar.write(line, file=sys.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()
