"""Reads clips with captions of any prepared TFDS set, without TensorFlow.

Captions are any texts here; a task may refuse those outside of its grammar, as
`video_generation` does.
"""

import dataclasses
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from regen_jax.data.readers import raw_records
from regen_jax.data.readers.captioned_images import resize_and_crop
from regen_jax.data.tfds import prepared
from regen_jax.errors import UserError

_MODES = {1: "L", 3: "RGB"}
_CHUNK = 256


@dataclasses.dataclass(frozen=True)
class CaptionedClips:
    """Random access to clips and their captions, in file order.

    Attributes:
      captions: of each clip, as the set has it.
      clips: u8[T, size, size, C] each; do not write to them.
      channels: C, 1 or 3.
      rate: frames per second, if the metadata of the set have it; else 0.
      folder: that of the prepared set.
    """

    captions: tuple[str, ...]
    clips: Sequence[np.ndarray] = dataclasses.field(repr=False)
    channels: int
    rate: float
    folder: str

    def __len__(self) -> int:
        return len(self.captions)


def open_captioned_clips(
    name: str,
    split: str,
    num_frames: int,
    size: int,
    data_dir: str = "",
    max_bytes: int = 2**30,
) -> CaptionedClips:
    """Opens a split of a prepared set that has `video`, and `caption` or `label`.

    `video` is TFDS's feature `Video`, or a sequence of images. A label is a caption by its
    name. Clips with fewer frames than `num_frames` are left out.

    Args:
      name: of the set, such as `moving_digits` or `ucf101`.
      split: see `raw_records.load`.
      num_frames: frames of each clip, its first ones.
      size: height and width that every frame is brought to, see `decode_clip`.
      data_dir: the folder that holds the sets; TFDS's default if empty.
      max_bytes: a split that is no larger than this when decoded is decoded once and
        held in memory; of a larger one, each clip is decoded whenever it is read.

    Raises:
      UserError: the set is not prepared in that folder, lacks the split, is damaged, its
        examples are not clips with a caption or label, or none is as long as a clip.
    """
    builder = prepared.require(name, split, data_dir)
    features = dict(builder.info.features.items())
    channels = _check_features(name, features)
    label = None if "caption" in features else features["label"]
    shape = (num_frames, size, size, channels)
    try:
        decoders = {"video": _EncodedFrames()}
        source = raw_records.open_source(builder, split, decoders)
        captions, rows, clips, longest = [], [], [], 0
        in_memory = len(source) * int(np.prod(shape)) <= max_bytes
        for start in range(0, len(source), _CHUNK):
            numbers = range(start, min(start + _CHUNK, len(source)))
            for row, record in zip(numbers, source.__getitems__(numbers), strict=True):
                longest = max(longest, len(record["video"]))
                if len(record["video"]) < num_frames:
                    continue
                rows.append(row)
                captions.append(_caption(record, label))
                if in_memory:
                    clips.append(decode_clip(record["video"], shape))
    except (OSError, RuntimeError) as error:
        raise prepared.damaged(name, builder.data_dir, data_dir) from error
    if not rows:
        raise UserError(
            f"data set {name!r} has no clip of {num_frames} frames or more in the split "
            f"{split!r}: lower config.data.num_frames to {longest}"
        )
    return CaptionedClips(
        tuple(captions),
        clips if in_memory else _ClipsInFiles(source, tuple(rows), shape),
        channels,
        float((builder.info.metadata or {}).get("rate", 0)),
        str(builder.data_dir),
    )


def decode_clip(
    frames: Sequence[bytes], shape: tuple[int, int, int, int]
) -> np.ndarray:
    """Returns the first frames of encoded images as u8[T, size, size, C] of `shape`.

    Square frames of a multiple of the size are averaged over blocks of pixels; others are
    brought to it by `resize_and_crop`.
    """
    num_frames, size, _, channels = shape
    arrays = []
    for content in frames[:num_frames]:
        with Image.open(io.BytesIO(content)) as image:
            if image.width != image.height or image.width % size:
                image = Image.fromarray(resize_and_crop(image, size))
            mode = _MODES[channels]
            arrays.append(
                np.asarray(image if image.mode == mode else image.convert(mode))
            )
    clip = np.stack(arrays).reshape(num_frames, *arrays[0].shape[:2], channels)
    factor = clip.shape[1] // size
    if factor > 1:
        blocks = clip.reshape(num_frames, size, factor, size, factor, channels)
        total = blocks.sum(axis=(2, 4), dtype=np.uint32)
        clip = ((total + factor**2 // 2) // factor**2).astype(np.uint8)
    clip.flags.writeable = False
    return clip


class _EncodedFrames(tfds.decode.SkipDecoding):
    """Leaves the images of a sequence encoded; TFDS's own skips those of TensorFlow."""

    def decode_batch_example_np(self, example: np.ndarray) -> np.ndarray:
        return example


@dataclasses.dataclass(frozen=True)
class _ClipsInFiles:
    """Clips that are decoded on every access."""

    source: Sequence[dict[str, Any]]
    rows: tuple[int, ...]
    shape: tuple[int, int, int, int]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> np.ndarray:
        return decode_clip(self.source[self.rows[index]]["video"], self.shape)


def _check_features(name: str, features: dict[str, Any]) -> int:
    """Returns the number of channels; `UserError` for a set without captioned clips."""
    image = getattr(features.get("video"), "feature", None)
    is_captioned = isinstance(image, tfds.features.Image) and (
        isinstance(features.get("caption"), tfds.features.Text)
        or isinstance(features.get("label"), tfds.features.ClassLabel)
    )
    if not is_captioned:
        raise UserError(
            f"data set {name!r} has the features {', '.join(sorted(features))}: needed "
            "are 'video' (Video, or a Sequence of Image) and 'caption' (Text) or 'label' "
            "(ClassLabel), as those of ucf101"
        )
    channels, dtype = image.shape[-1], np.dtype(image.np_dtype)
    if channels not in _MODES or dtype != np.uint8:
        raise UserError(
            f"data set {name!r} has frames of shape {image.shape} and dtype {dtype}: "
            "needed are uint8 frames of 1 or 3 channels"
        )
    return channels


def _caption(record: dict[str, Any], label: tfds.features.ClassLabel | None) -> str:
    if label is None:
        return record["caption"].decode()
    return label.int2str(record["label"]).replace("_", " ")
