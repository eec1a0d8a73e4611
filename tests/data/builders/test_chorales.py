import importlib.util
import itertools

import numpy as np
import pytest

from regen_jax.data.builders import tune_similarity
from regen_jax.data.builders.chorales import pieces, tunes
from regen_jax.data.builders.music21_corpus import Voice
from regen_jax.data.tfds import prepared
from regen_jax.data.tfds.prepare import prepare
from regen_jax.errors import UserError
from regen_jax.modalities.music import events
from tests.data.stored import SPLITS, stored_splits

SIZES = {"train": 267, "validation": 36, "test": 53}


@pytest.fixture(scope="module")
def all_examples(splits):
    """All chorales of the small set."""
    return [example for examples in splits.values() for example in examples]


@pytest.fixture(scope="module")
def splits(music_dir):
    """10 chorales of train, 4 of validation and 4 of test."""
    return stored_splits("chorales", music_dir)


@pytest.fixture(scope="module")
def by_number(all_examples):
    return {
        example["title"].decode().split("BWV ")[1].rstrip(")"): example
        for example in all_examples
    }


def voice(example, index):
    notes = example["notes"]
    return notes[notes[:, 0] == index, 1:]


def test_first_bars_of_bwv_269_equal_the_print(by_number):
    """Aus meines Herzens Grunde, Riemenschneider 1: 3/4 with a pickup."""
    example = by_number["269"]
    assert example["title"].decode() == "Aus meines Herzens Grunde (BWV 269)"
    assert example["meter"].tolist() == [3, 4] and example["key"] == b"G"
    printed = [
        "8 4 G4 | 12 8 G4, 20 4 D5 | 24 6 B4, 30 2 A4, 32 4 G4",
        "8 4 D4 | 12 4 D4, 16 4 E4, 20 4 D4 | 24 8 D4, 32 4 B3",
        "8 4 B3 | 12 4 B3, 16 2 C4, 18 2 B3, 20 4 A3 | 24 4 G3, 28 4 F#3, 32 4 G3",
        "8 4 G2 | 12 4 G3, 16 4 E3, 20 4 F#3 | 24 4 G3, 28 4 D3, 32 4 E3",
    ]
    for index, line in enumerate(printed):
        notes = voice(example, index)
        names = [
            f"{start} {duration} {events.pitch_name(pitch)}"
            for start, duration, pitch in notes[notes[:, 0] < 36].tolist()
        ]
        assert names == line.replace(" | ", ", ").split(", ")


def test_lyrics_of_bwv_269_are_the_first_verse(by_number):
    """The first section is repeated with other words, which are left out."""
    example = by_number["269"]
    lyrics = [text.decode() for text in example["lyrics"]]
    text = "".join(f"{syllable} " for syllable in lyrics).replace("- ", "")
    assert text.startswith("Aus meines Herzens Grunde sag' ich dir Lob und Dank")
    assert "in dieser Morgenstunde" not in text
    assert lyrics[:6] == ["Aus", "mei-", "nes", "Her-", "zens", "Grun-"]
    assert example["lyric_starts"][:6].tolist() == [8, 12, 20, 24, 32, 36]


def test_phrases_of_bwv_347_end_at_fermatas(by_number):
    """Ich dank' dir, lieber Herre: the first phrase ends on the eighth beat."""
    example = by_number["347"]
    assert example["fermatas"][0] == 12 + 7 * 4
    under = np.isin(voice(example, 0)[:, 0], example["fermatas"])
    assert under.sum() == len(example["fermatas"]) and under[-1]


def test_notes_and_lyrics_lie_on_one_grid(splits, all_examples):
    assert [len(splits[name]) for name in SPLITS] == [10, 4, 4]
    for example in all_examples:
        assert example["voices"] == 4 and example["notes"].dtype == np.int32
        starts = set(voice(example, 0)[:, 0].tolist())
        assert set(example["fermatas"].tolist()) <= starts
        assert set(example["lyric_starts"].tolist()) <= starts
        assert len(example["lyrics"]) == len(set(example["lyric_starts"].tolist()))
        for index in range(4):
            start, duration, pitch = voice(example, index).T
            assert (duration > 0).all() and start[0] >= 0
            assert (start[1:] >= (start + duration)[:-1]).all()
            assert pitch.min() >= 36 and pitch.max() <= 84


def test_syllables_have_no_spaces_digits_or_quotes(all_examples):
    text = b"".join(
        syllable for example in all_examples for syllable in example["lyrics"]
    ).decode()
    assert not set(text) & set(" ’–_0123456789")


def test_settings_of_one_tune_are_grouped(all_examples):
    decoded = [e | {"title": e["title"].decode()} for e in all_examples]
    groups = [
        {decoded[index]["title"].split("BWV ")[1].rstrip(")") for index in group}
        for group in tunes.group_by_tune(decoded)
    ]
    assert {"84.5", "166.6", "197.10"} in groups and {"245.22", "377"} in groups
    assert len(groups) == 15


def test_no_melody_in_any_key_is_in_two_splits(music_dir):
    """Checks the whole set if it is prepared, else the small one."""
    whole = prepared.find("chorales")
    data_dir = "" if whole else music_dir
    examples = stored_splits("chorales", data_dir)
    if whole:
        assert {name: len(split) for name, split in examples.items()} == SIZES
    for first, second in itertools.combinations(SPLITS, 2):
        skeletons = [tunes.melody_skeleton(example) for example in examples[first]]
        for example in examples[second]:
            near = tune_similarity.similarities(
                tunes.melody_skeleton(example), skeletons
            )
            assert near.max() < tunes.SAME_TUNE
        # However tunes are recognized: no run of 20 intervals is in both.
        runs = [
            {run for example in examples[name] for run in interval_runs(example, 20)}
            for name in (first, second)
        ]
        assert runs[1] and not runs[0] & runs[1]


def interval_runs(example, size):
    intervals = np.diff(voice(example, 0)[:, 2])
    intervals = intervals[intervals != 0].tolist()
    return {tuple(intervals[i : i + size]) for i in range(len(intervals) - size + 1)}


def test_split_by_tune_keeps_tunes_together(monkeypatch):
    """Six melodies, each in four keys."""
    random = np.random.default_rng(0)
    examples = []
    for tune in range(6):
        pitches = 60 + random.integers(-7, 8, 40)
        for shift in range(4):
            columns = [np.zeros(40), 4 * np.arange(40), np.full(40, 4), pitches + shift]
            examples.append(
                {
                    "notes": np.stack(columns, axis=1).astype(np.int32),
                    "meter": np.array([4, 4]),
                    "lyrics": [],
                    "title": f"{tune}",
                }
            )
    monkeypatch.setattr(tunes, "TEST_FRACTION", 0.4)
    monkeypatch.setattr(tunes, "VALIDATION_FRACTION", 0.25)
    splits = tunes.split_by_tune(examples)
    titles = {name: [e["title"] for e in split] for name, split in splits.items()}
    # As 0 to 5 come in the permutation, in fours: 9 have room for two, 6 for one.
    order = [str(index) for index in np.random.RandomState(0).permutation(6)]
    assert set(titles["test"]) == set(order[:2]) and len(titles["test"]) == 8
    assert titles["validation"] == [order[2]] * 4
    assert set(titles["train"]) == set(order[3:]) and len(titles["train"]) == 12
    # Transpositions are the same piece.
    assert [e["title"] for e in tunes.drop_duplicates(examples)] == list("012345")


def test_fermatas_of_other_voices_go_to_the_soprano_once():
    """Under a held soprano note, beside one with its own fermata, and under none."""

    def make_voice(notes, under_fermata):
        return Voice(np.array(notes), np.array(under_fermata))

    soprano = make_voice([[0, 4, 60], [4, 4, 60], [8, 8, 60]], [False, True, False])
    alto = make_voice([[0, 8, 55], [12, 2, 55]], [True, True])
    assert pieces.fermata_starts([soprano, alto]).tolist() == [4, 8]
    assert pieces.fermata_starts([soprano]).tolist() == [4]


def test_missing_package_raises_user_error(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"music21.*'regen-jax\[music\]'"):
        prepare("chorales", str(tmp_path))
    assert not list(tmp_path.glob("chorales/*"))
