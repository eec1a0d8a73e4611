"""How stored splits of TFDS sets become train, validation and test."""

import io
import logging

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from regen_jax.data.readers import raw_records
from regen_jax.data.readers.images import open_images
from regen_jax.data.tfds import split_keys
from regen_jax.data.tfds.splits import SplitOptions
from regen_jax.errors import UserError

THREE = ("train", "validation", "test")


class Stored(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A set of numbered examples, with `sizes` of its splits by name."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, data_dir, sizes, name="stored", salt="", encode=None):
        self.name, self._sizes, self._salt = name, sizes, salt
        self._encode = encode
        super().__init__(data_dir=str(data_dir), file_format="array_record")

    def _info(self):
        features = {"number": np.int64}
        if self._encode:
            image = tfds.features.Image(shape=(2, 3, 1), encoding_format="png")
            label = tfds.features.ClassLabel(num_classes=3)
            features |= {"image": image, "label": label}
        features = tfds.features.FeaturesDict(features)
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        ends = np.cumsum([0, *self._sizes.values()]).tolist()
        return {
            name: self._generate_examples(range(start, end))
            for name, start, end in zip(self._sizes, ends, ends[1:], strict=False)
        }

    def _generate_examples(self, numbers):
        # TFDS orders examples by a hash of this key.
        for number in numbers:
            example = {"number": number}
            if self._encode:
                example |= {"image": self._encode(number), "label": number % 3}
            yield f"{self._salt}{number}", example


def store(folder, *args, **options):
    Stored(folder, *args, **options).download_and_prepare()


def numbers(folder, split, name="stored"):
    return [int(e["number"]) for e in raw_records.load(name, split, str(folder))]


def test_validation_is_held_out_from_train(tmp_path):
    store(tmp_path, {"train": 500, "test": 30})
    members = {name: numbers(tmp_path, name) for name in THREE}
    assert [len(members[name]) for name in THREE] == [490, 10, 30]
    assert sorted(members["test"]) == list(range(500, 530))
    assert sorted(members["train"] + members["validation"]) == list(range(500))


def test_held_out_examples_depend_on_content_not_on_order(tmp_path):
    """TFDS stores the examples in another order here."""
    for folder, salt in [("one", ""), ("other", "salt")]:
        store(tmp_path / folder, {"train": 500, "test": 30}, salt=salt)
    one, other = (numbers(tmp_path / f, "validation") for f in ("one", "other"))
    assert one != other and sorted(one) == sorted(other)
    # Results of different machines compare only while these do not change.
    assert sorted(one) == [17, 61, 63, 126, 133, 253, 337, 358, 410, 426]


@pytest.mark.parametrize(
    "name, sizes, expected",
    [
        # The literature reports on the only held-out examples with labels.
        ("stored", {"train": 100, "validation": 20}, (98, 2, 20)),
        ("stored", {"train": 100, "validation": 20, "test": 9}, (100, 20, 9)),
        ("stored", {"train": 100}, (96, 2, 2)),
        ("stored", {"train": 2, "test": 1}, (1, 1, 1)),
        # The labels of its `test` are secret.
        ("imagenet2012", {"train": 100, "validation": 20, "test": 9}, (98, 2, 20)),
        (
            "librispeech",
            {"train_clean100": 50, "train_other500": 60, "dev_clean": 7}
            | {"dev_other": 3, "test_clean": 8, "test_other": 4},
            (110, 7, 8),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_stored_splits_are_mapped(tmp_path, name, sizes, expected):
    store(tmp_path, sizes, name=name)
    members = [numbers(tmp_path, split, name) for split in THREE]
    assert tuple(map(len, members)) == expected
    joined = [number for split in members for number in split]
    assert len(joined) == len(set(joined))


def test_other_splits_are_read_as_they_are_stored(tmp_path):
    store(tmp_path, {"train": 100, "test": 9, "extra": 5})
    assert sorted(numbers(tmp_path, "extra")) == list(range(109, 114))
    with pytest.raises(
        UserError, match="choose train, validation, test, extra"
    ) as caught:
        numbers(tmp_path, "dev")
    assert "\n" not in str(caught.value)
    store(
        tmp_path,
        {"train_clean100": 9, "test_clean": 2, "test_other": 4},
        name="libritts",
    )
    assert len(numbers(tmp_path, "test_other", "libritts")) == 4


@pytest.fixture(scope="module")
def stored_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    store(folder, {"train": 20, "test": 5, "extra": 4})
    store(folder, {"first": 6}, name="alone")
    return folder


@pytest.mark.parametrize(
    "split, name",
    [
        ("train[:0%]", "stored"),
        ("train[:1%]", "stored"),
        ("train[50%:40%]", "stored"),
        ("validation[:0]", "stored"),
        ("test[4:2]", "stored"),
        ("extra[2:1]", "stored"),
        ("extra[:2]+extra[3:2]", "stored"),
        ("first[:0%]", "alone"),
    ],
)
def test_empty_slice_raises_user_error(stored_dir, split, name):
    with pytest.raises(UserError, match="selects no example of data set") as error:
        numbers(stored_dir, split, name)
    assert repr(split) in str(error.value)


def test_slice_is_of_the_split_without_held_out_examples(tmp_path):
    store(tmp_path, {"train": 100, "test": 10})
    train = numbers(tmp_path, "train")
    assert numbers(tmp_path, "train[:10%]") == train[:10]
    assert numbers(tmp_path, "train[-3:]") == train[-3:]
    assert numbers(tmp_path, "test[:4]") == numbers(tmp_path, "test")[:4]
    with pytest.raises(
        UserError, match=r"98 examples in 'train': 'train\[:99\]' is no"
    ):
        numbers(tmp_path, "train[:99]")
    for split in ("train+test", "train[", "train[a:b]"):
        with pytest.raises(UserError, match="no split"):
            numbers(tmp_path, split)


@pytest.mark.parametrize("sizes", [{"train": 1, "test": 3}, {"train": 2}], ids=str)
def test_set_too_small_to_hold_out_raises_user_error(tmp_path, sizes):
    store(tmp_path, sizes)
    with pytest.raises(UserError, match="too few to hold out (test and )?validation"):
        numbers(tmp_path, "train")


def test_set_without_train_is_read_as_stored(tmp_path):
    store(tmp_path, {"test": 5})
    assert len(numbers(tmp_path, "test")) == 5
    with pytest.raises(UserError, match="no split 'train': choose test"):
        numbers(tmp_path, "train")


def test_equal_keys_are_in_one_split():
    keys = np.repeat(np.arange(50, dtype=np.uint64)[::-1], 20)
    members = split_keys.hold_out(keys, ["test", "validation"])
    assert {name: sorted(set(keys[rows])) for name, rows in members.items()} == {
        "test": [0],
        "validation": [1],
        "train": list(range(2, 50)),
    }
    assert sorted(np.concatenate(list(members.values()))) == list(range(1000))


def test_at_most_ten_thousand_are_held_out():
    keys = np.random.RandomState(0).permutation(600_000).astype(np.uint64)
    members = split_keys.hold_out(keys, ["validation"])
    assert sorted(keys[members["validation"]]) == list(range(10_000))
    assert len(members["train"]) == 590_000


def test_keys_are_computed_once_and_kept(tmp_path, monkeypatch):
    store(tmp_path, {"train": 100, "test": 10})
    before = numbers(tmp_path, "validation")
    (path,) = tmp_path.glob("stored/1.0.0/annotations/*")
    assert path.name == "split_keys-train.npy" and np.load(path).shape == (100,)
    monkeypatch.setattr(split_keys, "content_key", None)
    split_keys.content_keys.cache_clear()
    assert numbers(tmp_path, "validation") == before
    monkeypatch.undo()
    path.write_bytes(path.read_bytes()[:99])
    split_keys.content_keys.cache_clear()
    assert numbers(tmp_path, "validation") == before
    assert np.load(path).shape == (100,)


def test_keys_that_cannot_be_written_are_kept_in_memory(tmp_path, caplog):
    store(tmp_path, {"train": 100, "test": 10})
    # A file in place of the folder: root may write whatever the mode says.
    (tmp_path / "stored" / "1.0.0" / "annotations").write_text("")
    with caplog.at_level(logging.WARNING, "regen_jax"):
        assert len(numbers(tmp_path, "validation")) == 2
        assert len(numbers(tmp_path, "train")) == 98
    (record,) = caplog.records
    assert "split_keys-train.npy is kept in memory only" in record.getMessage()


def png(level):
    def encode(number):
        pixels = np.arange(6, dtype=np.uint8).reshape(2, 3) + number % 250
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, format="PNG", compress_level=level)
        return file.getvalue()

    return encode


def test_key_of_a_png_depends_on_its_pixels_alone(tmp_path):
    assert png(0)(1) != png(9)(1)
    for folder, level in [("one", 0), ("other", 9)]:
        store(tmp_path / folder, {"train": 200, "test": 5}, encode=png(level))
    one, other = (
        open_images("stored", "validation", str(tmp_path / f)) for f in ("one", "other")
    )
    assert len(one) == len(other) == 4
    for i in range(4):
        np.testing.assert_array_equal(one[i]["y"], other[i]["y"])


def test_held_out_images_keep_their_labels(tmp_path):
    store(tmp_path, {"train": 200, "test": 5}, encode=png(6))
    for max_bytes in (2**30, 0):
        parts = [
            open_images("stored", name, str(tmp_path), max_bytes)
            for name in ("train", "validation")
        ]
        assert [len(part) for part in parts] == [196, 4]
        for part in parts:
            for i in range(len(part)):
                assert part[i]["x"] == int(part[i]["y"][0, 0, 0]) % 3


def test_split_options_name_stored_splits():
    options = SplitOptions(train="train[10%:]", targets="train+extra")
    assert options.stored("train") == "train[10%:]"
    assert options.stored("validation") == "validation"
    assert options.stored("targets", "train+unpaired") == "train+extra"
    assert SplitOptions().stored("targets", "train+unpaired") == "train+unpaired"


def test_sum_of_stored_splits_is_read(tmp_path):
    store(tmp_path, {"test": 5, "extra": 4})
    assert sorted(numbers(tmp_path, "test+extra")) == list(range(9))
