import importlib
import sys

import numpy as np
import pytest

from regen_jax.data.readers import raw_records, scores
from regen_jax.data.readers.scores import load_scores, transpositions, voice_ranges
from regen_jax.errors import UserError
from regen_jax.modalities.music import events, score
from regen_jax.modalities.music.score import Note, Score


@pytest.fixture(scope="module")
def pieces(music_dir):
    return load_scores("chorales", "train", music_dir)


def test_score_has_all_stored_notes_lyrics_and_fermatas(pieces, music_dir):
    stored = list(raw_records.load("chorales", "train", music_dir))
    assert len(pieces) == len(stored) == 10
    for piece, record in zip(pieces, stored, strict=True):
        assert piece.title == record["title"].decode()
        assert piece.score.division == 4 and len(piece.score.voices) == 4
        assert piece.score.meter == tuple(record["meter"].tolist())
        assert piece.score.key == record["key"].decode()
        notes = [
            [index, note.start, note.duration, note.pitch]
            for index, voice in enumerate(piece.score.voices)
            for note in voice
        ]
        assert notes == record["notes"].tolist()
        soprano = piece.score.voices[0]
        syllables = [note for note in soprano if note.lyric]
        assert [note.lyric.encode() for note in syllables] == list(record["lyrics"])
        assert [note.start for note in syllables] == record["lyric_starts"].tolist()
        fermatas = [note.start for note in soprano if note.fermata]
        assert fermatas == record["fermatas"].tolist()
        assert not any(note.lyric for voice in piece.score.voices[1:] for note in voice)


def test_scores_are_restored_from_events(pieces):
    for piece in pieces:
        ids = score.to_events(piece.score, piece.score.length)
        assert score.from_events(ids, 4).voices[1:] == piece.score.voices[1:]
        assert ids.shape == (piece.score.length, 4)


def test_scores_are_read_once(pieces, music_dir):
    first = load_scores("chorales", "train", music_dir)
    assert first is load_scores("chorales", "train", music_dir) and first == pieces


def test_folk_tunes_have_one_voice(music_dir):
    tunes = load_scores("folk_tunes", "train", music_dir)
    assert tunes and all(len(tune.score.voices) == 1 for tune in tunes)


def test_reading_does_not_need_music21(music_dir, monkeypatch):
    monkeypatch.setitem(sys.modules, "music21", None)
    with pytest.raises(ImportError):
        importlib.import_module("music21")
    load_scores.cache_clear()
    assert len(load_scores("chorales", "test", music_dir)) == 4


def test_unsuitable_set_raises_user_error(music_dir, digits_dir, tmp_path):
    with pytest.raises(UserError, match=r"needed are fermatas, key"):
        load_scores("digits", "train", digits_dir)
    with pytest.raises(UserError, match=r"prepare chorales --data_dir="):
        load_scores("chorales", "train", str(tmp_path))
    with pytest.raises(UserError, match=r"no split 'test': choose train"):
        load_scores("folk_tunes", "test", music_dir)


SMALL = Score(
    ((Note(0, 4, 72, True, "Ach"), Note(4, 4, 76)), (Note(0, 8, 60),)), 4, (3, 4), "f#"
)


def test_transpositions_stay_within_the_ranges():
    scores = transpositions(SMALL, 4, [(70, 79), (59, 65)])
    assert [score.voices[1][0].pitch for score in scores] == [59, 60, 61, 62, 63]
    assert [score.key for score in scores] == ["f", "f#", "g", "g#", "a"]
    assert scores[1] == SMALL
    assert transpositions(SMALL, 0) == [SMALL]
    assert transpositions(SMALL, 3, [(73, 74), (0, 99)]) == []
    # C6 is the highest pitch with a symbol.
    assert transpositions(SMALL, 12)[-1].voices[0][1].pitch == 84


def test_transpositions_change_only_pitches():
    for transposed, shift in zip(transpositions(SMALL, 2), range(-2, 3), strict=True):
        assert transposed.meter == (3, 4) and transposed.division == 4
        ids = score.to_events(transposed, 8)
        expected = events.transpose(score.to_events(SMALL, 8), shift)
        np.testing.assert_array_equal(ids, expected)
        assert [note.lyric for note in transposed.voices[0]] == ["Ach", ""]


def test_transposed_keys_wrap_around_the_octave():
    assert scores.transpose_key("B", 1) == "C"
    assert scores.transpose_key("c", -1) == "b"
    assert scores.transpose_key("C#", 12) == "C#"
    assert scores.transpose_key("", 5) == ""


def test_voice_ranges_contain_all_notes(pieces):
    ranges = voice_ranges(pieces)
    for piece in pieces:
        for (low, high), voice in zip(ranges, piece.score.voices, strict=True):
            assert all(low <= note.pitch <= high for note in voice)
    assert voice_ranges([scores.Piece("", SMALL)]) == ((72, 76), (60, 60))
