import numpy as np
import pytest

from regen_jax.data.builders.folk_tunes import tunes
from regen_jax.data.builders.music21_corpus import UnsuitablePiece
from regen_jax.data.readers import raw_records

# A pickup, a grace note, a triplet, a chord, a tie and a C6, in 2/4.
REEL = """X:1
T:The Test
T:Another name
M:2/4
L:1/8
K:Em
B,|E2 {F}G2|(3EFG [Be]2|e2-ec'|E4|]
"""


def test_tune_is_read_note_by_note():
    example = tunes.read_tune(REEL)
    assert example["title"] == "The Test" and example["meter"].tolist() == [2, 4]
    assert example["voices"] == 1 and (example["notes"][:, 0] == 0).all()
    assert example["key"] == "e"
    assert example["notes"][:, 1:].tolist() == [
        *([6, 2, 59], [8, 4, 64], [12, 4, 67]),
        *([16, 1, 64], [17, 2, 66], [19, 1, 67], [20, 4, 76]),
        *([24, 6, 76], [30, 2, 84], [32, 8, 64]),
    ]


@pytest.mark.parametrize(
    "change, reason",
    [
        (("M:2/4", "M:3/4"), "bars that are not full"),
        (("E4|]", "M:3/4\nE6|]"), "no meter, or several"),
        (("c'", "d'"), "notes outside C2 to C6"),
    ],
)
def test_unsuitable_tune_raises_its_reason(change, reason):
    with pytest.raises(UnsuitablePiece, match=reason):
        tunes.read_tune(REEL.replace(*change))


def test_prepared_tunes_are_one_voice_without_words(music_dir):
    examples = list(raw_records.load("folk_tunes", "train", music_dir))
    assert 8 <= len(examples) <= 15
    for example in examples:
        assert example["voices"] == 1 and len(example["notes"]) > 10
        assert not example["lyrics"] and not len(example["fermatas"])
        _, start, duration, pitch = example["notes"].T
        assert (start[1:] >= (start + duration)[:-1]).all() and (duration > 0).all()
        assert pitch.min() >= 36 and pitch.max() <= 84
        beats, value = example["meter"].tolist()
        assert beats * 16 % value == 0


def test_sampled_tunes_have_no_two_endings():
    texts = tunes.sample_tunes()
    assert len(texts) == tunes.MAX_TUNES
    assert not any("|1" in text or "[2" in text for text in texts)
    assert texts == tunes.sample_tunes()


def test_tunes_of_test_chorales_are_dropped(music_dir):
    test = list(raw_records.load("chorales", "test", music_dir))
    notes = test[0]["notes"]
    melody = notes[notes[:, 0] == 0]
    # The same tune a fifth lower and half as fast, and one played backwards.
    copy = {"notes": melody * [1, 2, 2, 1] - [0, 0, 0, 7], "title": "copy"}
    other = {"notes": np.c_[melody[:, :3], melody[::-1, 3]], "title": "other"}
    remaining = tunes.drop_tunes_of(test, [copy, other])
    assert [example["title"] for example in remaining] == ["other"]
