"""A metric of a run while it trains, from its TensorBoard events."""

from pathlib import Path

from regen_jax.extras import require


class Curve:
    """The values of one scalar in all stages of a run."""

    def __init__(self, folder: Path, tag: str):
        self.folder = folder
        self._tag = tag
        self._stages = {}

    def read(self) -> dict[int, float]:
        """Returns the values written so far, by step; reads only new events."""
        module = "tensorboard.backend.event_processing.event_accumulator"
        accumulator = require(module, "launch", "a search")
        values = {}
        for folder in sorted({file.parent for file in self.folder.glob("*/events*")}):
            if folder not in self._stages:
                self._stages[folder] = accumulator.EventAccumulator(
                    str(folder), {"scalars": 0}
                )
            stage = self._stages[folder].Reload()
            if self._tag in stage.Tags()["scalars"]:
                scalars = stage.Scalars(self._tag)
                values |= {event.step: event.value for event in scalars}
        return values
