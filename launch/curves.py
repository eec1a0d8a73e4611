"""A metric of a run while it trains, from its TensorBoard events."""

from pathlib import Path

from launch.extras import optional


class Curve:
    """The values of one scalar in all stages of a run, as far as they are written."""

    def __init__(self, folder: Path, tag: str):
        self._folder = folder
        self._tag = tag
        self._stages = {}

    def read(self) -> dict[int, float]:
        """Values by step. Reads what is new since the last time."""
        with optional():
            from tensorboard.backend.event_processing.event_accumulator import (
                EventAccumulator,
            )
        for events in self._folder.glob("*/events*"):
            stage = events.parent
            if stage not in self._stages:
                everything = {"scalars": 0}
                self._stages[stage] = EventAccumulator(str(stage), everything)
        values = {}
        for stage in self._stages.values():
            stage.Reload()
            if self._tag in stage.Tags()["scalars"]:
                values |= {
                    event.step: event.value for event in stage.Scalars(self._tag)
                }
        return values
