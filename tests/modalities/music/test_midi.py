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
    meter = draw(st.sampled_from([(4, 4), (3, 4), (2, 2), (6, 8)]))
    return Score(tuple(voices), draw(st.sampled_from([2, 3, 4])), meter, key)


@pytest.fixture
def saved(tmp_path):
    """Returns a function that saves tracks at 100 ticks per quarter note."""

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
    # Most programs write this in place of note_off.
    return mido.Message("note_on", note=note, time=time, velocity=0, channel=channel)


def notes(*pitches, start=0, channel=0, duration=100):
    """Returns messages of consecutive quarter notes."""
    track = []
    for index, pitch in enumerate(pitches):
        track.append(on(pitch, start if index == 0 else 0, channel))
        track.append(off(pitch, duration, channel))
    return track


def time_signature(numerator, denominator, time=0):
    return mido.MetaMessage(
        "time_signature", numerator=numerator, denominator=denominator, time=time
    )


@settings(max_examples=25, deadline=None)
@given(score=scores())
def test_read_inverts_write(tmp_path_factory, score):
    path = tmp_path_factory.getbasetemp() / "score.mid"
    midi.write(path, score, tempo=100)
    assert midi.read(path, score.division) == score
    assert midi.read(path, score.division, len(score.voices)) == score


def test_written_file_has_tempo_meter_key_and_tracks(tmp_path):
    voice = (Note(2, 3, 60, True, "schön"), Note(5, 1, 60))
    midi.write(tmp_path / "a.mid", Score((voice,) * 4, 2, (3, 4), "c#"), tempo=90)
    file = mido.MidiFile(tmp_path / "a.mid", charset="utf-8")
    assert file.type == 1 and file.length == pytest.approx(3 * 60 / 90)
    conductor, first = file.tracks[:2]
    tempo, signature, key, _ = conductor
    assert mido.tempo2bpm(tempo.tempo) == pytest.approx(90)
    assert (signature.numerator, signature.denominator) == (3, 4)
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


def test_performed_notes_are_quantized(saved):
    path = saved(
        [
            on(60, 203),
            # Legato: the previous note ends later, nearer to the next step.
            on(62, 102),
            off(60, 22),
            # An eighth note, and a very short one.
            off(62, 37),
            *(on(64, 34), off(64, 4)),
            # Repeated without an end, and without an end in the track.
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


def test_lyrics_and_fermatas_are_read_with_their_notes(saved):
    lyric = mido.MetaMessage("lyrics", text=" be\r")
    fermata = mido.MetaMessage("marker", text="fermata")
    between = mido.MetaMessage("lyrics", text="Lo-", time=50)
    others = [mido.MetaMessage("marker", text="verse 2"), between, off(65, 50)]
    path = saved([*notes(60, 62), fermata, lyric, *notes(64), on(65, 0), *others])
    assert midi.read(path, 1).voices == (
        (
            *(Note(0, 1, 60), Note(1, 1, 62)),
            *(Note(2, 1, 64, True, "be"), Note(3, 1, 65)),
        ),
    )


def test_voices_skip_the_drum_channel(tmp_path):
    score = Score(((Note(0, 1, 60),),) * 12, 1)
    midi.write(tmp_path / "a.mid", score)
    messages = [m for m in mido.MidiFile(tmp_path / "a.mid") if m.type == "note_on"]
    assert [m.channel for m in messages] == [*range(9), 10, 11, 12]


def test_channels_of_a_track_are_voices(saved):
    path = saved([*notes(72, 74), *notes(48, channel=3)], type=0)
    assert midi.read(path, 1).voices == (
        (Note(0, 1, 72), Note(1, 1, 74)),
        (Note(2, 1, 48),),
    )
    with pytest.raises(UserError, match="has notes in 2 channels: one voice is needed"):
        midi.read(path, 1, voices=1)


def test_several_tracks_for_one_voice_raise_user_error(saved):
    path = saved([time_signature(4, 4)], notes(72), notes(67), notes(60))
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
            [
                time_signature(3, 4),
                *notes(60, 62, 64),
                time_signature(2, 4),
                *notes(60),
            ],
            "bar 2: the meter changes from 3/4 to 2/4: only one meter can be read",
        ),
        (
            [*notes(*[60] * 8), time_signature(3, 4), *notes(60)],
            "bar 3: the meter changes from 4/4 to 3/4",
        ),
        (
            [time_signature(7, 16), *notes(60)],
            "the meter 7/16 does not fit: .* whole number of steps of 1/8: set division=4",
        ),
        (
            [time_signature(0, 4), *notes(60)],
            "the meter 0/4 does not fit: it has no beat",
        ),
    ],
)
def test_invalid_voice_raises_user_error_with_its_position(saved, track, message):
    path = saved(track)
    with pytest.raises(UserError, match=message) as caught:
        midi.read(path, 2, voices=1)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_error_names_the_voice_among_several(saved):
    with pytest.raises(UserError, match="voice 2: bar 1, beat 1: C-1 is out of range"):
        midi.read(saved(notes(60), notes(0)), 1)


@pytest.mark.parametrize(
    "track",
    [
        [
            time_signature(1, 4),
            *notes(60),
            time_signature(4, 4),
            *notes(62, 64, 65, 67),
        ],
        [*notes(60), time_signature(4, 4), *notes(62, 64, 65, 67)],
        [
            time_signature(1, 4),
            *notes(60),
            time_signature(4, 4),
            *notes(62, 64, 65, 67),
            time_signature(3, 4),
        ],
        [time_signature(4, 4), *notes(60, 62, 64, 65, 67, start=300)],
    ],
)
def test_upbeat_is_preceded_by_silence(saved, track):
    score = midi.read(saved(track), 2, voices=1)
    assert score.meter == (4, 4)
    assert [note.start for note in score.voices[0]] == [6, 8, 10, 12, 14]


def test_meter_is_that_of_the_first_track(saved):
    path = saved(
        [time_signature(4, 4), time_signature(3, 4)],
        [time_signature(2, 4), *notes(60, 62, 64)],
    )
    assert midi.read(path, 2).meter == (3, 4)


def test_repeated_meter_is_accepted(saved):
    path = saved(
        [time_signature(4, 4), *notes(*[60] * 4), time_signature(4, 4), *notes(60)]
    )
    assert midi.read(path, 1).meter == (4, 4)


@pytest.mark.parametrize("key", ["C", "Cb", "F#", "Gb", "Bbm", "A#m", "Em"])
def test_key_signatures_are_read(saved, key):
    path = saved([mido.MetaMessage("key_signature", key=key), *notes(60)])
    names = {"Cb": "B", "Gb": "F#", "Bbm": "a#", "A#m": "a#", "Em": "e"}
    assert midi.read(path, 1).key == names.get(key, key)


def test_missing_file_raises_user_error(tmp_path):
    with pytest.raises(UserError, match=r"there is no MIDI file '.*none.mid'"):
        midi.read(tmp_path / "none.mid", 2)
    with pytest.raises(UserError, match="there is no MIDI file"):
        midi.read(tmp_path, 2)


def test_missing_package_raises_user_error(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mido", None)
    with pytest.raises(UserError, match="a MIDI file needs the package mido: .*music"):
        midi.write(tmp_path / "a", Score(((Note(0, 1, 60),),), 2))
