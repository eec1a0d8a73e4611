import dataclasses
import functools
import sys
import zipfile

import pytest

from regen_jax.errors import UserError
from regen_jax.modalities.music import musicxml
from regen_jax.modalities.music.score import Note, Score

SCORE = Score(
    (
        (
            Note(3, 1, 69, lyric="O"),
            # Across a bar line, and of a length that needs ties.
            *(
                Note(4, 5, 74, True, "Lam-"),
                Note(9, 1, 73),
                Note(10, 2, 73, lyric="mes"),
            ),
            *(Note(12, 1, 71, lyric="Got-"), Note(13, 1, 72, lyric="tes-")),
            *(Note(14, 1, 71, lyric="sohn"), Note(18, 7, 69, True)),
        ),
        (Note(0, 18, 60), Note(18, 1, 61), Note(19, 1, 71)),
        (Note(7, 4, 59), Note(11, 2, 60)),
        (Note(0, 24, 36, True),),
    ),
    *(2, (3, 4), "b"),
)


@pytest.fixture
def parsed():
    """Returns a function that parses a file by music21."""
    from music21 import converter

    return functools.partial(
        converter.parse, format="musicxml", forceSource=True, storePickle=False
    )


@pytest.fixture
def edited(tmp_path):
    """Returns a function that writes a score and replaces a text in the file."""

    def edit(score, old, new, count=-1):
        path = tmp_path / "edited.musicxml"
        musicxml.write(path, score)
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, count))
        return path

    return edit


@pytest.mark.parametrize(
    "score",
    [
        SCORE,
        Score((SCORE.voices[0],), 4, (4, 4)),
        Score(((Note(1, 5, 60), Note(7, 1, 83)), (Note(0, 1, 49),)), 3, (6, 8), "A#"),
    ],
)
def test_read_inverts_write(tmp_path, score):
    musicxml.write(tmp_path / "a.musicxml", score)
    assert musicxml.read(tmp_path / "a.musicxml", score.division) == score


def test_written_file_has_title_parts_clefs_and_lyrics(tmp_path, parsed):
    musicxml.write(tmp_path / "a.musicxml", SCORE, title="O Lamm")
    whole = parsed(tmp_path / "a.musicxml")
    assert whole.metadata.bestTitle == "O Lamm"
    assert "Music21" not in (tmp_path / "a.musicxml").read_text()
    soprano, *_, bass = whole.parts
    assert [part.partName for part in whole.parts] == [
        *("Soprano", "Alto", "Tenor", "Bass")
    ]
    # All parts have the same number of full bars.
    for part in whole.parts:
        assert [bar.highestTime for bar in part["Measure"]] == [3.0] * 5
    assert soprano["Clef"][0].sign == "G" and bass["Clef"][0].sign == "F"
    assert soprano["KeySignature"][0].sharps == 2
    assert soprano["TimeSignature"][0].ratioString == "3/4"
    syllables = [lyric for note in soprano.flatten().notes for lyric in note.lyrics]
    assert [(lyric.text, lyric.syllabic) for lyric in syllables] == [
        *(("O", "single"), ("Lam", "begin"), ("mes", "end")),
        *(("Got", "begin"), ("tes", "middle"), ("sohn", "end")),
    ]


@pytest.mark.parametrize(
    ("key", "names"),
    [
        # All twelve pitches from C on, as spelled in the key.
        ("C", "C C# D E- E F F# G G# A B- B"),
        ("a", "C C# D D# E F F# G G# A B- B"),
        ("D#", "C D- D E- E F G- G A- A B- B"),
        ("F#", "B# C# C## D# E E# F# F## G# A A# B"),
        ("", "C C# D E- E F F# G G# A B- B"),
    ],
)
def test_pitches_are_spelled_as_in_the_key(tmp_path, parsed, key, names):
    voice = tuple(Note(step, 1, 60 + step) for step in range(12))
    path = tmp_path / "a.musicxml"
    musicxml.write(path, Score((voice,), 1, key=key))
    assert [note.name for note in parsed(path).flatten().notes] == names.split()
    assert musicxml.read(path, 1).voices == (voice,)


def test_upbeat_is_preceded_by_silence(tmp_path):
    from music21 import stream

    part = stream.Part()
    for notes in ("C4", "D4 E4 F4", "G4 A4 B4"):
        measure = stream.Measure()
        for name in notes.split():
            measure.append(_quarter(name))
        part.append(measure)
    part.insert(0, _three_four())
    part.write("musicxml", fp=tmp_path / "a.musicxml")
    score = musicxml.read(tmp_path / "a.musicxml", 2)
    assert [note.start for note in score.voices[0]] == [4, 6, 8, 10, 12, 14, 16]
    assert score.meter == (3, 4) and score.key == ""


def test_ties_are_joined_and_grace_notes_ignored(tmp_path):
    from music21 import expressions, note, stream, tie

    first, second, last = (
        _quarter("C4"),
        _quarter("C4"),
        note.Note("C4", quarterLength=2),
    )
    first.tie, second.tie = tie.Tie("start"), tie.Tie("stop")
    # Some programs write it above the first of the two notes.
    first.expressions.append(expressions.Fermata())
    grace = note.Note("B3").getGrace()
    part = stream.Part([first, second, grace, last])
    part.write("musicxml", fp=tmp_path / "a.musicxml")
    voices = musicxml.read(tmp_path / "a.musicxml", 2).voices
    assert voices == ((Note(0, 4, 60, True), Note(4, 4, 60)),)


def test_compressed_file_is_read(tmp_path):
    musicxml.write(tmp_path / "a.musicxml", SCORE)
    with zipfile.ZipFile(tmp_path / "a.mxl", "w") as file:
        file.writestr(
            "META-INF/container.xml",
            '<container><rootfiles><rootfile full-path="a.musicxml"/></rootfiles>'
            "</container>",
        )
        file.write(tmp_path / "a.musicxml", "a.musicxml")
    assert musicxml.read(tmp_path / "a.mxl", 2) == SCORE


def test_notes_are_quantized_or_raise_user_error_if_lost(tmp_path):
    path = tmp_path / "a.musicxml"
    voice = (Note(0, 3, 60), Note(3, 5, 62), Note(10, 1, 64))
    musicxml.write(path, Score((voice,), 4))
    assert musicxml.read(path, 2).voices == (
        (Note(0, 2, 60), Note(2, 2, 62), Note(5, 1, 64)),
    )
    musicxml.write(path, Score(((*voice[:2], Note(8, 1, 65), Note(9, 1, 64)),), 4))
    with pytest.raises(UserError, match="1 of 4 notes would be lost, the first E4"):
        musicxml.read(path, 1)


def test_file_that_is_not_a_score_raises_user_error(tmp_path):
    for content in ("", "no score", "<score-partwise", "<html></html>"):
        (tmp_path / "a.musicxml").write_text(content)
        with pytest.raises(UserError, match="a.musicxml' (is damaged|has no notes)"):
            musicxml.read(tmp_path / "a.musicxml", 2)
    with pytest.raises(UserError, match="there is no MusicXML file"):
        musicxml.read(tmp_path / "none.musicxml", 2)
    musicxml.write(tmp_path / "rests.musicxml", Score(((),), 2))
    with pytest.raises(UserError, match="has no notes"):
        musicxml.read(tmp_path / "rests.musicxml", 2)


def test_invalid_score_raises_user_error_with_its_position(edited):
    voice = tuple(Note(step, 1, 60 + step) for step in range(8))
    score = Score((voice, voice), 1)
    path = edited(score, "<octave>4", "<octave>7")
    with pytest.raises(UserError, match="part 1: bar 1, beat 1: C7 is out of range"):
        musicxml.read(path, 1)
    path = edited(
        dataclasses.replace(score, voices=(voice,)),
        '<measure implicit="no" number="2">',
        '<measure implicit="no" number="2"><attributes><time><beats>3</beats>'
        "<beat-type>4</beat-type></time></attributes>",
    )
    with pytest.raises(UserError, match="bar 2: the meter changes from 4/4 to 3/4"):
        musicxml.read(path, 1)
    path = edited(dataclasses.replace(score, meter=(3, 8)), "musicxml", "musicxml")
    with pytest.raises(UserError, match="the meter 3/8 does not fit"):
        musicxml.read(path, 1)


def test_chord_in_a_part_raises_user_error(tmp_path):
    from music21 import chord, stream

    part = stream.Part([_quarter("C4"), chord.Chord(["E4", "G4"], quarterLength=3)])
    part.write("musicxml", fp=tmp_path / "a.musicxml")
    with pytest.raises(UserError, match="beat 2: G4 begins while E4 sounds: a voice"):
        musicxml.read(tmp_path / "a.musicxml", 2)


def test_missing_package_raises_user_error(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "music21", None)
    for call in (
        lambda: musicxml.read(tmp_path, 2),
        lambda: musicxml.write(tmp_path / "a", Score(((Note(0, 1, 60),),), 2)),
    ):
        with pytest.raises(
            UserError, match="a MusicXML file needs the package music21: "
        ):
            call()


def _quarter(name):
    from music21 import note

    return note.Note(name)


def _three_four():
    from music21 import meter

    return meter.TimeSignature("3/4")
