"""Summaries of a run for TensorBoard; the only module that imports tensorboardX."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from flax import traverse_util
from tensorboardX import summary as proto
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary

from regen_jax.media.media import Media
from regen_jax.media.video import Video, encode_gif


class SummaryWriter:
    """Writes summaries to an event file; a context manager.

    Events are on disk once `flush` returns. It writes through tensorboardX's
    `EventsWriter` for that: `flush` of tensorboardX's own `SummaryWriter` does not wait
    for its queue, and a second writer within the same second would truncate the file of
    the first.

    Tags keep letters, digits and `_-./`; other characters become `_`.
    """

    def __init__(
        self,
        logdir: str | Path,
        purge_step: int | None = None,
        enabled: bool = True,
    ):
        """Opens a new event file, and creates `logdir` if it is missing.

        Args:
          logdir: directory of the run, which has one event file per start of the run.
          purge_step: the first step that a resumed run writes again; TensorBoard hides
            what earlier starts wrote at this step and later.
          enabled: whether anything is written; true on one process only.
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

    def write_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes numbers, which TensorBoard stores as float32."""
        for tag, value in values.items():
            self._add(step, proto.scalar, tag, float(value))

    def write_images(self, step: int, values: Mapping[str, np.ndarray]) -> None:
        """Writes images u8[H, W, C] with 1, 3 or 4 channels.

        Raises:
          ValueError: an image has another dtype or number of axes.
        """
        for tag, value in values.items():
            image = np.asarray(value)
            if image.dtype != np.uint8 or image.ndim != 3:
                raise ValueError(
                    f"summary image {tag!r} must be uint8 [H, W, C], "
                    f"not {image.dtype} {list(image.shape)}"
                )
            self._add(step, proto.image, tag, image, dataformats="HWC")

    def write_media(self, step: int, media: Media) -> None:
        """Writes images, sounds, videos and texts, but no files.

        TensorBoard shows a video as an image, and one image per tag and step: the tag of a
        video is its name and `_clip`, as an image may have the same name.
        """
        self.write_images(step, media.images)
        for name, video in media.videos.items():
            self._add(step, _animation, f"{name}_clip", video)
        for tag, (wave, sample_rate) in media.audio.items():
            wave = np.clip(np.asarray(wave, np.float32), -1, 1)
            self._add(step, proto.audio, tag, wave, sample_rate=sample_rate)
        self.write_texts(step, media.texts)

    def write_texts(self, step: int, values: Mapping[str, str]) -> None:
        """Writes texts in Markdown."""
        for tag, value in values.items():
            self._add(step, proto.text, tag, value)

    def write_histograms(self, step: int, values: Mapping[str, np.ndarray]) -> None:
        """Writes histograms of the finite values of arrays; skips those without any."""
        for tag, value in values.items():
            array = np.asarray(value, np.float64)
            array = array[np.isfinite(array)]
            if array.size:
                self._add(step, proto.histogram, tag, array, bins=64)

    def write_hparams(
        self, step: int, config: Mapping[str, Any], metrics: Mapping[str, float]
    ) -> None:
        """Writes the config and final metrics of a run, a row of the HParams tab.

        Args:
          step: step of the metrics.
          config: nested; its fields become columns, see `flatten_config`.
          metrics: scalars to write at `step`. Scalars that are already written may be
            left out: the tab shows the last value of every scalar of the run.
        """
        # Without the experiment summary TensorBoard shows the union of the columns of all
        # runs, those that differ first; with it, only the columns of one run.
        _, start, end = proto.hparams(flatten_config(config), {})
        for part in (start, end):
            self._write(Event(summary=part))
        self.write_scalars(step, metrics)

    def flush(self) -> None:
        """Blocks until all events are on disk."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Flushes and closes the file."""
        if self._writer is not None:
            self._writer.close()

    def _add(self, step: int, summary_fn: Callable, *args, **kwargs) -> None:
        if self._writer is not None:
            self._write(Event(step=int(step), summary=summary_fn(*args, **kwargs)))

    def _write(self, event: Event) -> None:
        if self._writer is not None:
            event.wall_time = time.time()
            self._writer.write_event(event)


def _animation(tag: str, video: Video) -> Summary:
    """Returns the summary of an image that moves; TensorBoard displays any GIF."""
    _, height, width, channels = video.frames.shape
    summary = proto.image(tag, video.frames[0], dataformats="HWC")
    summary.value[0].image.CopyFrom(
        Summary.Image(
            height=height,
            width=width,
            colorspace=channels,
            encoded_image_string=encode_gif(video),
        )
    )
    return summary


def flatten_config(config: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """Flattens nested fields to `section.field`, in their order.

    A sequence becomes its JSON text and None the text `None`, because columns of the
    HParams tab are booleans, numbers or texts.
    """
    return {
        name: _to_column(value)
        for name, value in traverse_util.flatten_dict(config, sep=".").items()
    }


def _to_column(value: Any) -> bool | int | float | str:
    if isinstance(value, bool | int | float | str):
        return value
    return json.dumps(value) if isinstance(value, list | tuple) else str(value)
