import sys

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regen_jax.errors import UserError
from regen_jax.modalities.music import events, midi
from regen_jax.modalities.music.score import Note, Score


@st.composite
def scores(draw):
    voices = []
    for _ in range(draw(st.integers(1, 4))):
        notes, now = [], 0
        for _ in range(draw(st.integers(1, 5))):
            now += draw(st.integers(0, 3))
            notes.append(
                Note(
                    now,
                    draw(st.integers(1, 9)),
                    draw(st.integers(36, 84)),
                    draw(st.booleans()),
                    draw(st.sampled_from(["", "Lo-", "be", "schön,", "…"])),
                )
            )
            now = notes[-1].end
        voices.append(tuple(notes))
    key = draw(st.sampled_from(["", *events.PITCH_CLASSES, "c", "f#", "a#"]))
    metre = draw(st.sampled_from([(4, 4), (3, 4), (2, 2), (6, 8)]))
    return Score(tuple(voices), draw(st.sampled_from([2, 3, 4])), metre, key)


@pytest.fixture
def saved(tmp_path):
    """Writes tracks of messages (type, time, fields), 100 ticks a quarter: the path."""

    def save(*tracks, type=1):
        file = mido.MidiFile(type=type, ticks_per_beat=100)
        for track in tracks:
            file.tracks.append(mido.MidiTrack(track))
        file.save(tmp_path / "some.mid")
        return tmp_path / "some.mid"

    return save


def on(note, time, channel=0):
    return mido.Message("note_on", note=note, time=time, channel=channel)


def off(note, time, channel=0):
    # What most programs write in place of note_off.
    return mido.Message("note_on", note=note, time=time, velocity=0, channel=channel)


def notes(*pitches, start=0, channel=0, duration=100):
    """One quarter after another."""
    track = []
    for index, pitch in enumerate(pitches):
        track.append(on(pitch, start if index == 0 else 0, channel))
        track.append(off(pitch, duration, channel))
    return track


def metre(numerator, denominator, time=0):
    return mido.MetaMessage(
        "time_signature", numerator=numerator, denominator=denominator, time=time
    )


@settings(max_examples=25, deadline=None)
@given(score=scores())
def test_a_file_and_back(tmp_path_factory, score):
    path = tmp_path_factory.getbasetemp() / "score.mid"
    midi.write(path, score, tempo=100)
    assert midi.read(path, score.division) == score
    assert midi.read(path, score.division, len(score.voices)) == score


def test_what_a_program_finds(tmp_path):
    voice = (Note(2, 3, 60, True, "schön"), Note(5, 1, 60))
    midi.write(tmp_path / "a.mid", Score((voice,) * 4, 2, (3, 4), "c#"), tempo=90)
    file = mido.MidiFile(tmp_path / "a.mid", charset="utf-8")
    assert file.type == 1 and file.length == pytest.approx(3 * 60 / 90)
    conductor, first = file.tracks[:2]
    tempo, time_signature, key, _ = conductor
    assert mido.tempo2bpm(tempo.tempo) == pytest.approx(90)
    assert (time_signature.numerator, time_signature.denominator) == (3, 4)
    assert key.key == "C#m"
    assert [track.name for track in file.tracks[1:]] == [
        *("Soprano", "Alto", "Tenor", "Bass")
    ]
    assert {message.channel for message in first if not message.is_meta} == {0}
    assert [(m.type, m.time) for m in first[2:]] == [
        ("marker", 480),
        *(("lyrics", 0), ("note_on", 0), ("note_off", 720)),
        *(("note_on", 0), ("note_off", 240), ("end_of_track", 0)),
    ]


def test_what_players_play_goes_to_the_nearest_step(saved):
    path = saved(
        [
            on(60, 203),
            # Legato: the note before ends later, and nearer to the next step.
            on(62, 102),
            off(60, 22),
            # Half a quarter, and nearly nothing.
            off(62, 37),
            *(on(64, 34), off(64, 4)),
            # Struck again without an end, and open at the end.
            *(on(65, 96), on(65, 100), mido.MetaMessage("end_of_track", time=100)),
        ]
    )
    assert midi.read(path, 2, voices=1) == Score(
        (
            (
                *(Note(4, 2, 60), Note(6, 1, 62), Note(8, 1, 64)),
                *(Note(10, 2, 65), Note(12, 2, 65)),
            ),
        ),
        2,
    )


def test_syllables_and_fermatas_stand_at_their_notes(saved):
    lyric = mido.MetaMessage("lyrics", text=" be\r")
    mark = mido.MetaMessage("marker", text="fermata")
    between = mido.MetaMessage("lyrics", text="Lo-", time=50)
    others = [mido.MetaMessage("marker", text="verse 2"), between, off(65, 50)]
    path = saved([*notes(60, 62), mark, lyric, *notes(64), on(65, 0), *others])
    assert midi.read(path, 1).voices == (
        (
            *(Note(0, 1, 60), Note(1, 1, 62)),
            *(Note(2, 1, 64, True, "be"), Note(3, 1, 65)),
        ),
    )


def test_no_voice_is_on_the_channel_of_drums(tmp_path):
    score = Score(((Note(0, 1, 60),),) * 12, 1)
    midi.write(tmp_path / "a.mid", score)
    messages = [m for m in mido.MidiFile(tmp_path / "a.mid") if m.type == "note_on"]
    assert [m.channel for m in messages] == [*range(9), 10, 11, 12]


def test_channels_of_one_track_are_voices(saved):
    path = saved([*notes(72, 74), *notes(48, channel=3)], type=0)
    assert midi.read(path, 1).voices == (
        (Note(0, 1, 72), Note(1, 1, 74)),
        (Note(2, 1, 48),),
    )
    with pytest.raises(UserError, match="has notes in 2 channels: one voice is needed"):
        midi.read(path, 1, voices=1)


def test_several_tracks_are_not_one_voice(saved):
    path = saved([metre(4, 4)], notes(72), notes(67), notes(60))
    assert len(midi.read(path, 1, voices=3).voices) == 3
    with pytest.raises(UserError) as caught:
        midi.read(path, 1, voices=1)
    assert str(caught.value) == (
        f"MIDI file '{path}' has notes in 3 tracks: one voice is needed: keep the "
        "soprano alone"
    )
    with pytest.raises(UserError, match="in 3 tracks: 4 voices are needed"):
        midi.read(path, 1, voices=4)


@pytest.mark.parametrize(
    ("track", "message"),
    [
        ([], "some.mid' has no notes"),
        (notes(60, 96, 60), "bar 1, beat 2: C7 is out of range: notes from C2 to C6"),
        (notes(35, start=500), "bar 2, beat 2: B1 is out of range"),
        (
            [*notes(60, 62), on(64, 50), on(67, 0), off(64, 50), off(67, 0)],
            "bar 1, beat 3.5: G4 begins while E4 sounds: a voice has one note",
        ),
        (
            [on(60, 0), on(64, 60), off(60, 100), off(64, 0)],
            "bar 1, beat 1.5: E4 begins while C4 sounds",
        ),
        (
            notes(60, 62, 64, duration=20),
            "the first D4 at bar 1, beat 1.2: .* the same step of 1/8 .*: division=4 keeps",
        ),
        (
            [metre(3, 4), *notes(60, 62, 64), metre(2, 4), *notes(60)],
            "bar 2: the metre changes from 3/4 to 2/4: only one metre can be read",
        ),
        (
            [*notes(*[60] * 8), metre(3, 4), *notes(60)],
            "bar 3: the metre changes from 4/4 to 3/4",
        ),
        (
            [metre(7, 16), *notes(60)],
            "the metre 7/16 does not fit: .* whole number of steps of 1/8: set division=4",
        ),
        ([metre(0, 4), *notes(60)], "the metre 0/4 does not fit: it has no beat"),
    ],
)
def test_what_is_no_voice_is_told_with_its_place(saved, track, message):
    path = saved(track)
    with pytest.raises(UserError, match=message) as caught:
        midi.read(path, 2, voices=1)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_the_voice_is_named_where_there_are_several(saved):
    with pytest.raises(UserError, match="voice 2: bar 1, beat 1: C-1 is out of range"):
        midi.read(saved(notes(60), notes(0)), 1)


@pytest.mark.parametrize(
    "track",
    [
        [metre(1, 4), *notes(60), metre(4, 4), *notes(62, 64, 65, 67)],
        [*notes(60), metre(4, 4), *notes(62, 64, 65, 67)],
        [metre(1, 4), *notes(60), metre(4, 4), *notes(62, 64, 65, 67), metre(3, 4)],
        [metre(4, 4), *notes(60, 62, 64, 65, 67, start=300)],
    ],
)
def test_an_upbeat_is_preceded_by_silence(saved, track):
    score = midi.read(saved(track), 2, voices=1)
    assert score.metre == (4, 4)
    assert [note.start for note in score.voices[0]] == [6, 8, 10, 12, 14]


def test_metres_of_the_first_track_count(saved):
    path = saved([metre(4, 4), metre(3, 4)], [metre(2, 4), *notes(60, 62, 64)])
    assert midi.read(path, 2).metre == (3, 4)


def test_a_metre_that_is_only_said_again(saved):
    path = saved([metre(4, 4), *notes(*[60] * 4), metre(4, 4), *notes(60)])
    assert midi.read(path, 1).metre == (4, 4)


@pytest.mark.parametrize("key", ["C", "Cb", "F#", "Gb", "Bbm", "A#m", "Em"])
def test_keys_of_other_programs(saved, key):
    path = saved([mido.MetaMessage("key_signature", key=key), *notes(60)])
    names = {"Cb": "B", "Gb": "F#", "Bbm": "a#", "A#m": "a#", "Em": "e"}
    assert midi.read(path, 1).key == names.get(key, key)


def test_files_that_are_none(tmp_path):
    with pytest.raises(UserError, match=r"there is no MIDI file '.*none.mid'"):
        midi.read(tmp_path / "none.mid", 2)
    with pytest.raises(UserError, match="there is no MIDI file"):
        midi.read(tmp_path, 2)


def test_a_missing_package_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mido", None)
    with pytest.raises(UserError, match=r"mido: run `pip install 'regen-jax\[mu"):
        midi.write(tmp_path / "a", Score(((Note(0, 1, 60),),), 2))
