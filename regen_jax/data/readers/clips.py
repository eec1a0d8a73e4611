"""Reads clips of a fixed length and size from the videos of any prepared TFDS set."""

import dataclasses
import itertools
import logging
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from regen_jax.data.readers import raw_records
from regen_jax.data.tfds import prepared
from regen_jax.errors import UserError
from regen_jax.modalities.image.resize import resize_short_side

logger = logging.getLogger("regen_jax")

CHANNELS = (1, 3)
_NAMES = "video", "image_sequence"
"""Features that hold frames in sets with several such features, the first one first."""


class Cut(NamedTuple):
    """How clips are cut from videos.

    Attributes:
      num_frames: of a clip.
      size: height and width of a clip.
      stride: frames between the starts of clips of a video.
      zooms: for each factor z, videos are resized to a shorter side of z · size before
        cropping.
      step: pixels between crops on either axis; as many as fit lie about the center. With
        0 it is the center alone.
      flips: whether there is each clip four times: also mirrored, backward, and both.
    """

    num_frames: int
    size: int
    stride: int = 1
    zooms: tuple[int, ...] = (1,)
    step: int = 0
    flips: bool = False


@dataclasses.dataclass(frozen=True)
class Clips:
    """Random access to clips u8[T, S, S, C], in an order that mixes videos.

    Attributes:
      videos: u8[T, H, W, C] each, resized.
      sources: what each video is part of, such as a file; empty where the set has none.
      index: i64[N, 6], the video of each clip, its first frame, top and left, whether it
        runs backward, and whether it is mirrored.
      num_frames: T.
      size: S.
    """

    videos: tuple[np.ndarray, ...] = dataclasses.field(repr=False)
    sources: tuple[str, ...]
    index: np.ndarray = dataclasses.field(repr=False)
    num_frames: int
    size: int

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, index: int) -> np.ndarray:
        video, start, top, left, backward, mirrored = self.index[index].tolist()
        frames = self.videos[video][start : start + self.num_frames]
        clip = frames[:, top : top + self.size, left : left + self.size]
        return clip[:: -1 if backward else 1, :, :: -1 if mirrored else 1]

    def source(self, index: int) -> str:
        """Returns the source of a clip."""
        return self.sources[int(self.index[index, 0])]


class VideoInfo(NamedTuple):
    """What a prepared set says of its videos.

    Attributes:
      feature: that holds frames.
      channels: of a frame, 1 or 3.
      rate: frames per second; 0 where the set does not state it.
    """

    feature: str
    channels: int
    rate: float


def video_info(
    name: str, split: str, data_dir: str = "", feature: str = ""
) -> VideoInfo:
    """Returns what a prepared set says of its videos.

    Args:
      name: of the set in TFDS, such as `real_clips` or `ucf101`.
      split: see `raw_records.load`.
      data_dir: the folder that holds the sets; TFDS's default if empty.
      feature: that holds frames; the only one, or `video`, if empty.

    Raises:
      UserError: the set is not prepared in that folder, lacks the split, has no such
        feature, or several, or frames of another dtype or number of channels.
    """
    info = prepared.require(name, split, data_dir).info
    features = _features(info.features)
    shapes = {key: s for key, f in features.items() if (s := _frame_shape(f))}
    chosen = feature or next((key for key in _NAMES if key in shapes), "")
    if not chosen and len(shapes) == 1:
        (chosen,) = shapes
    if not shapes:
        listed = ", ".join(sorted(features))
        raise UserError(f"data set {name!r} has no video; its features are {listed}")
    if chosen not in shapes:
        raise UserError(
            f"data set {name!r} has {f'no feature {feature!r}' if feature else 'several'} "
            "with uint8 frames of 1 or 3 channels: set config.data.feature to "
            f"{', '.join(sorted(shapes))}"
        )
    metadata = info.metadata or {}
    return VideoInfo(chosen, shapes[chosen][-1], float(metadata.get("rate", 0)))


def open_clips(
    name: str,
    split: str,
    cut: Cut,
    data_dir: str = "",
    feature: str = "",
    max_bytes: int = 2**32,
) -> Clips:
    """Reads all videos of a split, resizes them, and finds the clips in them.

    Videos shorter than a clip have none. The order of the clips is random, and the same
    on every machine.

    Args:
      name: of the set in TFDS.
      split: see `raw_records.load`.
      cut: which clips.
      data_dir: the folder that holds the sets; TFDS's default if empty.
      feature: see `video_info`.
      max_bytes: that resized videos may have together, as they are held in memory.

    Raises:
      UserError: as `video_info`, or the set is damaged, its frames are smaller than a
        clip's, no video is as long as a clip, no zoom fits one that is, or they need more
        memory.
    """
    key = video_info(name, split, data_dir, feature).feature
    builder = prepared.require(name, split, data_dir)
    videos: list[np.ndarray] = []
    sources: list[str] = []
    index: list[tuple[int, ...]] = []
    total = largest = 0
    for record in raw_records.read(builder, name, split, data_dir):
        frames = np.asarray(record[key])
        if len(frames) < cut.num_frames:
            continue
        if min(frames.shape[1:3]) < cut.size:
            raise UserError(
                f"data set {name!r} has frames of {frames.shape[1]} x {frames.shape[2]} "
                f"pixels, which are not enlarged: set config.data.size to at most "
                f"{min(frames.shape[1:3])}"
            )
        largest = max(largest, min(frames.shape[1:3]) // cut.size)
        for zoom in cut.zooms:
            if zoom * cut.size > min(frames.shape[1:3]):
                continue
            resized = resize_frames(frames, zoom * cut.size)
            total += resized.nbytes
            if total > max_bytes:
                raise UserError(
                    f"data set {name!r}: the split {split!r} needs more than "
                    f"{max_bytes / 2**30:.3g} GiB of memory at this size: choose a part "
                    f"of it, such as --config.data.splits=\"{{'train': 'train[:10%]'}}\""
                )
            index += [(len(videos), *place) for place in _places(resized.shape, cut)]
            videos.append(resized)
            sources.append(_source(record))
    if not largest:
        raise UserError(
            f"data set {name!r} has no video of {cut.num_frames} frames or more in the "
            f"split {split!r}: predict fewer frames, or from fewer"
        )
    if too_large := [zoom for zoom in cut.zooms if zoom > largest]:
        words = (
            f"data set {name!r}: the zoom {too_large[0]} of config.data.zooms fits no "
            f"video of the split {split!r}; the largest that fits clips of {cut.size} "
            f"pixels is {largest}"
        )
        if not index:
            raise UserError(words)
        logger.warning("%s: it is left out", words)
    order = np.random.RandomState(0).permutation(len(index))
    return Clips(
        tuple(videos),
        tuple(sources),
        np.array(index, np.int64)[order],
        cut.num_frames,
        cut.size,
    )


def resize_frames(frames: np.ndarray, short_side: int) -> np.ndarray:
    """Resizes u8[T, H, W, C] so that the shorter side has that many pixels."""
    if min(frames.shape[1:3]) == short_side:
        return frames
    channels = frames.shape[-1]
    images = (Image.fromarray(f.squeeze(-1) if channels == 1 else f) for f in frames)
    resized = [np.asarray(resize_short_side(image, short_side)) for image in images]
    return np.stack(resized).reshape(len(frames), *resized[0].shape[:2], channels)


def _places(shape: tuple[int, ...], cut: Cut) -> Iterator[tuple[int, ...]]:
    """Yields the entries of `Clips.index` after the first, of a video [T, H, W, C]."""
    starts = range(0, shape[0] - cut.num_frames + 1, cut.stride)
    sides = (_offsets(n, cut.size, cut.step) for n in shape[1:3])
    flips = (0, 1) if cut.flips else (0,)
    return itertools.product(starts, *sides, flips, flips)


def _offsets(length: int, size: int, step: int) -> list[int]:
    """Returns where crops begin on an axis: in the center alone where `step` is 0."""
    room = length - size
    steps = room // step if step else 0
    first = (room - steps * step) // 2
    return [first + i * step for i in range(steps + 1)]


def _features(features: Any) -> Mapping[str, Any]:
    """Returns features by name, also of a set whose examples are sequences of steps."""
    if isinstance(features, tfds.features.Sequence):
        steps = features.feature
        return {key: tfds.features.Sequence(f) for key, f in steps.items()}
    return dict(features.items())


def _frame_shape(feature: Any) -> tuple[int | None, ...] | None:
    """Returns the shape [H, W, C] of the frames of a feature; None for other features."""
    if isinstance(feature, tfds.features.Sequence):
        feature = feature.feature
        if not isinstance(feature, tfds.features.Image):
            return None
        shape = feature.shape
    elif isinstance(feature, tfds.features.Tensor) and len(feature.shape) == 4:
        shape = feature.shape[1:]
    else:
        return None
    is_usable = shape[-1] in CHANNELS and np.dtype(feature.np_dtype) == np.uint8
    return tuple(shape) if is_usable else None


def _source(record: Mapping[str, Any]) -> str:
    source = record.get("source", b"")
    return source.decode() if isinstance(source, bytes) else ""
