"""What a run shows in TensorBoard; the only module that knows tensorboardX."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from tensorboardX import summary as proto
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog

from regen_jax.media.media import Exhibit


class Summaries:
    """An event file in `logdir`; a context manager.

    Events are on disk once `flush` returns. That is why it writes through
    `EventsWriter`: the flush of `SummaryWriter` does not wait for its queue, and a
    second writer within the same second would truncate the file of the first.

    Tags keep letters, digits and `_-./`; other characters become `_`.
    """

    def __init__(
        self,
        logdir: str | Path,
        purge_step: int | None = None,
        enabled: bool = True,
    ):
        """Opens a new event file, and makes `logdir` where missing.

        Arguments:
          logdir: the run's directory, one event file for each start of the run.
          purge_step: where a run resumes, the first step that will be written again;
            TensorBoard hides what earlier starts wrote at that step and later ones.
          enabled: false on all processes but one; then nothing is written or made.
        """
        self._writer = None
        if not enabled:
            return
        logdir = Path(logdir)
        logdir.mkdir(parents=True, exist_ok=True)
        self._writer = EventsWriter(str(logdir / "events"), f".{time.time_ns()}")
        if purge_step is not None:
            start = SessionLog(status=SessionLog.START)
            self._write(Event(step=int(purge_step), session_log=start))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers, kept as float32 by TensorBoard."""
        for tag, value in values.items():
            self._add(step, proto.scalar, tag, float(value))

    def images(self, step: int, values: Mapping[str, np.ndarray]) -> None:
        """Pictures uint8 [H, W, C] with 1, 3 or 4 channels."""
        for tag, value in values.items():
            image = np.asarray(value)
            if image.dtype != np.uint8 or image.ndim != 3:
                raise ValueError(
                    f"summary image {tag!r} must be uint8 [H, W, C], "
                    f"not {image.dtype} {list(image.shape)}"
                )
            self._add(step, proto.image, tag, image, dataformats="HWC")

    def exhibit(self, step: int, exhibit: Exhibit) -> None:
        """Pictures, sounds and texts."""
        self.images(step, exhibit.images)
        for tag, (wave, sample_rate) in exhibit.audio.items():
            wave = np.clip(np.asarray(wave, np.float32), -1, 1)
            self._add(step, proto.audio, tag, wave, sample_rate=sample_rate)
        self.text(step, exhibit.texts)

    def text(self, step: int, values: Mapping[str, str]) -> None:
        """Markdown."""
        for tag, value in values.items():
            self._add(step, proto.text, tag, value)

    def histograms(self, step: int, values: Mapping[str, np.ndarray]) -> None:
        """Distributions of the finite values of arrays [...]; without any, none."""
        for tag, value in values.items():
            array = np.asarray(value, np.float64)
            array = array[np.isfinite(array)]
            if array.size:
                self._add(step, proto.histogram, tag, array, bins=64)

    def hparams(
        self, step: int, config: Mapping[str, Any], metrics: Mapping[str, float]
    ) -> None:
        """A finished run as a row of the HParams tab: its config and final metrics.

        Arguments:
          step: where the metrics stand as scalars.
          config: nested; its fields become columns, see `flatten`.
          metrics: scalars to write with it. Those already written at `step` need no
            second writing: the tab shows the last value of every scalar of the run.
        """
        # Without the experiment summary TensorBoard takes the union of the columns of
        # all runs, and shows first what differs; with it, only the columns of one run.
        _, start, end = proto.hparams(flatten(config), {})
        for part in (start, end):
            self._write(Event(summary=part))
        self.scalars(step, metrics)

    def flush(self) -> None:
        """Puts everything written so far on disk."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Flushes and closes the file; writing later is an error."""
        if self._writer is not None:
            self._writer.close()

    def _add(self, step: int, make, *args, **kwargs) -> None:
        if self._writer is not None:
            self._write(Event(step=int(step), summary=make(*args, **kwargs)))

    def _write(self, event: Event) -> None:
        if self._writer is not None:
            event.wall_time = time.time()
            self._writer.write_event(event)


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested fields as `a.b` to bool, float or str, in their order.

    A sequence becomes its JSON text and None the text `None`, as the HParams tab has
    columns of booleans, numbers and text only.
    """
    flat = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        elif isinstance(value, bool | int | float | str):
            flat[f"{prefix}{key}"] = value
        elif isinstance(value, list | tuple):
            flat[f"{prefix}{key}"] = json.dumps(value)
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat


def markdown_json(config: Mapping[str, Any]) -> str:
    """A config as Markdown that TensorBoard shows with its line breaks."""
    return f"```json\n{json.dumps(config, indent=2, default=str)}\n```"
