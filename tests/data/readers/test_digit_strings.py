"""Strings of digits that are joined from recordings of `spoken_digits`."""

import numpy as np
import pytest

from regen_jax.data.readers import digit_strings
from regen_jax.data.readers.digit_strings import DigitStrings, open_digit_strings
from regen_jax.data.tfds.splits import SplitOptions
from regen_jax.errors import UserError
from regen_jax.modalities.text import characters
from tests.data.stored import stored_splits

NAME = "spoken_digits"


@pytest.fixture(scope="module")
def splits(speech_dir):
    return stored_splits(NAME, speech_dir)


@pytest.fixture(scope="module")
def strings(speech_dir):
    return {
        "train": open_digit_strings(NAME, "train", speech_dir, train_size=1000),
        "validation": open_digit_strings(NAME, "validation", speech_dir),
        "test": open_digit_strings(NAME, "test", speech_dir),
    }


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_joined_frames_are_recordings_of_the_transcript(strings, splits, name):
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


def test_string_lengths_are_equally_frequent(strings):
    source = strings["train"]
    counts = np.bincount([len(source.rows(i)) for i in range(1000)])
    assert counts[0] == 0 and len(counts) == 6
    np.testing.assert_allclose(counts[1:], 200, atol=50)
    rows = [row for i in range(1000) for row in source.rows(i)]
    assert len(set(rows)) > 0.6 * len(source.recordings)


def test_train_depends_on_the_seed_and_test_does_not(speech_dir, strings):
    other = open_digit_strings(NAME, "train", speech_dir, seed=1, train_size=1000)
    assert [other.rows(i) for i in range(9)] != [
        strings["train"].rows(i) for i in range(9)
    ]
    test = open_digit_strings(NAME, "test", speech_dir, seed=1)
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
        part = open_digit_strings(NAME, name, speech_dir, **options)
        remaining = [part.rows(i) for i in range(len(part))]
        assert remaining == [r for r, fit in zip(rows, fits, strict=True) if fit]
        assert part.too_long == tuple(
            whole.transcript(r) for r, fit in zip(rows, fits, strict=True) if not fit
        )
    assert characters.decode_text(part.y, part[0]["y"]) == whole.transcript(rows[0])


def test_training_frames_are_standardized(strings):
    frames = np.concatenate(strings["train"].recordings)
    np.testing.assert_allclose(frames.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(frames.std(0), 1, atol=1e-5)


def test_recordings_beyond_the_length_are_left_out_whole():
    recordings = [np.full((4, 2), i, np.float32) for i in range(3)]
    source = DigitStrings(recordings, [7, 8, 9], 50, length=10)
    for index in range(50):
        length = int(source[index]["x"].length)
        words = characters.decode_text(source.y, source[index]["y"]).split()
        assert length == 4 * len(words) <= 8
        assert len(words) == len(source.rows(index)) <= 2


@pytest.mark.parametrize(
    "options, message",
    [
        ({"length": 3}, "length 3 is too short for a recording of 4 frames"),
        ({"max_digits": 0}, "max_digits 0 must be at least 1"),
    ],
)
def test_option_out_of_range_raises_value_error(options, message):
    with pytest.raises(ValueError, match=message):
        DigitStrings([np.zeros((4, 2), np.float32)], [1], 5, **options)


def test_index_beyond_the_end_raises_index_error():
    with pytest.raises(IndexError, match="example 5 of 5"):
        DigitStrings([np.zeros((4, 2), np.float32)], [1], 5)[5]


def test_set_that_is_not_prepared_raises_user_error(tmp_path):
    with pytest.raises(UserError, match="'spoken_digits' is not prepared in"):
        open_digit_strings(NAME, "train", str(tmp_path))


def test_split_options_choose_the_recordings(speech_dir, strings):
    splits = SplitOptions(validation="test")
    swapped = open_digit_strings(NAME, "validation", speech_dir, splits=splits)
    np.testing.assert_array_equal(swapped.recordings[0], strings["test"].recordings[0])
