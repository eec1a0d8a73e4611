"""Reads labeled images of any prepared TFDS set, without TensorFlow."""

import dataclasses
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from regen_jax.data.readers import raw_records
from regen_jax.data.tfds import prepared
from regen_jax.errors import UserError

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_CHUNK = 1024


@dataclasses.dataclass(frozen=True)
class LabeledImages:
    """Random access to the class and the image of every example.

    `self[i]` is `{'x': i32 label, 'y': u8[H, W, C]}`; do not write to the arrays.

    Attributes:
      examples: what `self[i]` reads, in file order.
      shape: height, width and channels of every image.
      label_names: names of the classes, in the order of their numbers.
    """

    examples: Sequence[dict[str, Any]] = dataclasses.field(repr=False)
    shape: tuple[int, int, int]
    label_names: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.label_names)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.examples[index]


def open_images(
    name: str, split: str, data_dir: str = "", max_bytes: int = 2**30
) -> LabeledImages:
    """Opens a split of a prepared TFDS set with the features `image` and `label`.

    Args:
      name: of the set in TFDS, such as `mnist`, `imagenet_resized/32x32`,
        `mnist:3.0.1`.
      split: see `raw_records.load`.
      data_dir: the folder that holds the sets; TFDS's default if empty.
      max_bytes: a split that is no larger than this when decoded is decoded once and
        held in memory; of a larger one, each image is decoded whenever it is read.

    Raises:
      UserError: the set is not prepared in that folder, lacks the split, is damaged, or
        its examples are not u8 images of one shape with a class each.
    """
    builder = prepared.require(name, split, data_dir)
    features = dict(builder.info.features.items())
    shape = _image_shape(name, features)
    try:
        decoders = {"image": tfds.decode.SkipDecoding()}
        source = raw_records.open_source(builder, split, decoders)
        on_disk = _ImagesOnDisk(source, shape, name)
        fits = len(on_disk) * math.prod(shape) <= max_bytes
        examples = _ImagesInMemory(on_disk) if fits else on_disk
    except (OSError, RuntimeError) as error:
        raise prepared.damaged(name, builder.data_dir, data_dir) from error
    return LabeledImages(examples, shape, tuple(features["label"].names))


def _image_shape(name: str, features: dict[str, Any]) -> tuple[int, int, int]:
    """Returns the shape of all images; `UserError` if they are not labeled images."""
    image = features.get("image")
    if not (
        isinstance(image, tfds.features.Image)
        and isinstance(features.get("label"), tfds.features.ClassLabel)
    ):
        raise UserError(
            f"data set {name!r} has the features {', '.join(sorted(features))}: "
            "needed are 'image' (Image) and 'label' (ClassLabel)"
        )
    shape, dtype = image.shape, np.dtype(image.np_dtype)
    if None in shape or shape[-1] not in _MODES or dtype != np.uint8:
        raise UserError(
            f"data set {name!r} has images of shape {shape} and dtype {dtype}: needed "
            "are uint8 images of one fixed shape with 1, 3 or 4 channels, as those of "
            "imagenet_resized/64x64"
        )
    return shape


@dataclasses.dataclass(frozen=True)
class _ImagesOnDisk:
    """Examples that are decoded on every access."""

    source: Sequence[dict[str, Any]]
    shape: tuple[int, int, int]
    name: str

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.decode(self.source[index])

    def decode(self, record: dict[str, Any]) -> dict[str, Any]:
        # TFDS writes -1 where a label is secret.
        if record["label"] < 0:
            raise UserError(f"data set {self.name!r} has images without a label")
        return {"x": np.int32(record["label"]), "y": _pixels(record, self.shape)}


class _ImagesInMemory:
    """Examples decoded once: decoding at every step would take cores from training."""

    def __init__(self, images: _ImagesOnDisk):
        self.labels = np.empty(len(images), np.int32)
        self.images = np.empty((len(images), *images.shape), np.uint8)
        for start in range(0, len(images), _CHUNK):
            rows = range(start, min(start + _CHUNK, len(images)))
            records = images.source.__getitems__(rows)
            for row, record in zip(rows, records, strict=True):
                example = images.decode(record)
                self.labels[row], self.images[row] = example["x"], example["y"]
        self.images.flags.writeable = False

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"x": self.labels[index], "y": self.images[index]}


def _pixels(record: dict[str, Any], shape: tuple[int, int, int]) -> np.ndarray:
    mode = _MODES[shape[-1]]
    with Image.open(io.BytesIO(record["image"])) as image:
        # Files may differ from their feature: gray JPEGs among colored ones.
        pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    return pixels.reshape(shape)
