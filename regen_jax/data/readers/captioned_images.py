"""Reads pictures with captions of any prepared TFDS set, without TensorFlow."""

import dataclasses
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from regen_jax.data.readers import raw_records
from regen_jax.data.tfds import prepared
from regen_jax.errors import UserError
from regen_jax.modalities.image.resize import resize_and_crop

_CHUNK = 256


@dataclasses.dataclass(frozen=True)
class CaptionedImages:
    """Random access to pairs of a caption and its picture, in file order.

    A picture with several captions is in several pairs; do not write to the arrays.

    Attributes:
      captions: of each pair, as the set has it.
      rows: i64[N], which picture each pair has.
      pictures: u8[size, size, 3] each.
    """

    captions: tuple[str, ...]
    rows: np.ndarray
    pictures: Sequence[np.ndarray] = dataclasses.field(repr=False)

    def __len__(self) -> int:
        return len(self.captions)

    def picture(self, index: int) -> np.ndarray:
        """Returns the picture of a pair, u8[size, size, 3]."""
        return self.pictures[int(self.rows[index])]


def open_captioned_images(
    name: str, split: str, size: int, data_dir: str = "", max_bytes: int = 2**30
) -> CaptionedImages:
    """Opens a split of a prepared set with the features of TFDS's `coco_captions`.

    Args:
      name: of the set, such as `openmoji` or `coco_captions`.
      split: see `raw_records.load`.
      size: height and width that every picture is brought to, see `resize_and_crop`.
      data_dir: the folder that holds the sets; TFDS's default if empty.
      max_bytes: a split that is no larger than this when decoded is decoded once and
        held in memory; of a larger one, each picture is decoded whenever it is read.

    Raises:
      UserError: the set is not prepared in that folder, lacks the split, is damaged, or
        its examples are not RGB pictures with captions.
    """
    builder = prepared.require(name, split, data_dir)
    _check_features(name, dict(builder.info.features.items()))
    decoders = {"image": tfds.decode.SkipDecoding()}
    try:
        source = raw_records.open_source(builder, split, decoders)
        files = _PicturesInFiles(source, size)
        pictures = []
        captions, rows = [], []
        in_memory = len(source) * size * size * 3 <= max_bytes
        for start in range(0, len(source), _CHUNK):
            numbers = range(start, min(start + _CHUNK, len(source)))
            for row, record in zip(numbers, source.__getitems__(numbers), strict=True):
                texts = _texts(record["captions"])
                captions += texts
                rows += [row] * len(texts)
                if in_memory:
                    pictures.append(files.decode(record))
    except (OSError, RuntimeError) as error:
        raise prepared.damaged(name, builder.data_dir, data_dir) from error
    return CaptionedImages(
        tuple(captions), np.array(rows, np.int64), pictures if in_memory else files
    )


@dataclasses.dataclass(frozen=True)
class _PicturesInFiles:
    """Pictures that are decoded on every access."""

    source: Sequence[dict[str, Any]]
    size: int

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.decode(self.source[index])

    def decode(self, record: dict[str, Any]) -> np.ndarray:
        with Image.open(io.BytesIO(record["image"])) as image:
            return resize_and_crop(image, self.size)


def _check_features(name: str, features: dict[str, Any]) -> None:
    """Raises a UserError where a set has no RGB pictures with captions."""
    image, captions = features.get("image"), features.get("captions")
    is_captioned = (
        isinstance(image, tfds.features.Image)
        and isinstance(captions, tfds.features.Sequence)
        and "text" in (getattr(captions, "feature", None) or {})
    )
    if not is_captioned:
        raise UserError(
            f"data set {name!r} has the features {', '.join(sorted(features))}: needed "
            "are 'image' (Image) and 'captions' (Sequence of 'text'), as those of "
            "coco_captions"
        )
    if image.shape[-1] != 3 or np.dtype(image.np_dtype) != np.uint8:
        raise UserError(
            f"data set {name!r} has images of shape {image.shape} and dtype "
            f"{np.dtype(image.np_dtype)}: needed are uint8 images of 3 channels"
        )


def _texts(captions: Any) -> list[str]:
    """Returns the texts of the feature `captions` of one record."""
    texts = captions["text"] if isinstance(captions, dict) else captions
    return [
        (text["text"] if isinstance(text, dict) else text).decode() for text in texts
    ]
