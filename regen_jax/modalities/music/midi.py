"""Scores as MIDI files.

What MIDI has no event for travels in events of text: a fermata is a marker `fermata`.
"""

import itertools
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from regen_jax.errors import UserError
from regen_jax.modalities.music import bars, midi_file
from regen_jax.modalities.music.quantize import Sound, quantized, require
from regen_jax.modalities.music.score import Note, Score, fifths, key_of, voice_names

_TICKS = 480
_FERMATA = "fermata"
_CHOIR = 52
_DRUMS = 9
_MOST_SHARPS = 7
# By sharps, from -5.
_MAJOR = ("Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#")
_MINOR = ("Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#", "G#", "D#")


def write(path: str | Path, score: Score, tempo: float = 80) -> None:
    """Writes a file of type 1: a track of tempo, metre and key, then one for each voice.

    Arguments:
      path: where.
      score: its lyrics and fermatas are written as events of text.
      tempo: quarter notes a minute.

    Raises:
      UserError: the package `mido` is missing.
    """
    mido = require("mido")

    file = mido.MidiFile(type=1, ticks_per_beat=_TICKS, charset="utf-8")
    beats, unit = score.metre
    conductor = mido.MidiTrack()
    conductor.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo)))
    conductor.append(
        mido.MetaMessage("time_signature", numerator=beats, denominator=unit)
    )
    if score.key:
        name = (_MINOR if score.key[0].islower() else _MAJOR)[fifths(score.key) + 5]
        name += "m" * score.key[0].islower()
        conductor.append(mido.MetaMessage("key_signature", key=name))
    file.tracks.append(conductor)
    names = voice_names(len(score.voices))
    for index, (name, voice) in enumerate(zip(names, score.voices, strict=True)):
        channel = (index + (index >= _DRUMS)) % 16
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
        track.append(mido.Message("program_change", channel=channel, program=_CHOIR))
        now = 0
        for tick, message in _messages(voice, score.division, channel):
            track.append(message.copy(time=tick - now))
            now = tick
        file.tracks.append(track)
    file.save(path)


def _messages(voice: tuple[Note, ...], division: int, channel: int) -> Iterator:
    """Ticks from the beginning, and what happens then."""
    mido = require("mido")

    for note in voice:
        start, end = (round(s * _TICKS / division) for s in (note.start, note.end))
        if note.fermata:
            yield start, mido.MetaMessage("marker", text=_FERMATA)
        if note.lyric:
            yield start, mido.MetaMessage("lyrics", text=note.lyric)
        bare = {"channel": channel, "note": note.pitch}
        yield start, mido.Message("note_on", velocity=80, **bare)
        yield end, mido.Message("note_off", velocity=0, **bare)


def read(path: str | Path, division: int, voices: int = 0) -> Score:
    """Reads the notes of a file, one voice for each track or channel that has any.

    Voices keep the order of the file; channel 10, that of drums, is left out. Notes go
    to the nearest steps and last at least one; the tempo is ignored, and so is the
    silence after the last note. A note ends at the note-off of its pitch and channel
    that matches it in order, or where the pitch is struck again; a controller that
    silences a channel ends its notes. The key is the first valid one, and a fermata is
    the marker that `write` writes. See `midi_file.parse` for what is read leniently, and
    `bars.one_metre` for upbeats.

    Args:
      path: a file of type 0 or 1.
      division: steps a quarter note.
      voices: how many there must be; 0 is any number.

    Raises:
      UserError: the file is missing, damaged, or no MIDI; it has no notes or other
        voices; its metre changes or does not fit the steps; a note is out of range or
        would be lost; or a voice has several notes at once.
    """
    path = Path(path)
    what = f"MIDI file {str(path)!r}"
    file = _open(path, what)
    by_track = [_parts(track) for track in file.tracks]
    parts = [
        part
        for channels in by_track
        for channel, part in channels.items()
        if channel != _DRUMS
    ]
    if not parts and any(by_track):
        raise UserError(
            f"{what} has notes on channel {_DRUMS + 1} alone, which plays drums: move "
            "them to another channel"
        )
    if not parts:
        raise UserError(f"{what} has no notes")
    if voices and len(parts) != voices:
        several = sum(any(c != _DRUMS for c in channels) for channels in by_track) > 1
        places = "track" if several or len(parts) == 1 else "channel"
        needed = (
            "one voice is needed: keep the soprano alone"
            if voices == 1
            else f"{voices} voices are needed"
        )
        count = f"{len(parts)} {places}{'s' * (len(parts) > 1)}"
        raise UserError(f"{what} has notes in {count}: {needed}")
    first = min(note.start for part in parts for note in part)
    end = max(note.end for part in parts for note in part)
    quarter = file.ticks
    metre, bar_line = bars.one_metre(
        [(Fraction(tick, quarter), metre) for tick, metre in _metres(file)],
        *(Fraction(first, quarter), Fraction(end, quarter), what),
    )
    bars.check(metre, division, what)
    read_voices = []
    for index, part in enumerate(parts):
        sounds = [
            Sound(
                Fraction(note.start, quarter) - bar_line,
                Fraction(note.end, quarter) - bar_line,
                *(note.pitch, note.fermata, note.lyric),
            )
            for note in part
        ]
        where = f"{what}, voice {index + 1}" if len(parts) > 1 else what
        read_voices.append(quantized(sounds, division, metre, where))
    return Score(tuple(read_voices), division, metre, _key(file))


def _open(path: Path, what: str) -> midi_file.MidiFile:
    if not path.is_file():
        raise UserError(f"there is no {what}")
    try:
        return midi_file.parse(path.read_bytes())
    except OSError as error:
        raise UserError(f"{what} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{what} {error}") from error


class _Played(NamedTuple):
    """A note of a track, in ticks."""

    start: int
    end: int
    pitch: int
    fermata: bool
    lyric: str


def _parts(track: midi_file.Track) -> dict[int, list[_Played]]:
    """The notes of each channel that has any, in order."""
    struck: dict[tuple[int, int], list[int]] = {}
    ended: dict[tuple[int, int], list[int]] = {}
    lyrics: dict[int, str] = {}
    fermatas: set[int] = set()
    for event in track.events:
        if event.kind == "note_on" and event.data[1]:
            struck.setdefault((event.channel, event.data[0]), []).append(event.tick)
        elif event.kind in ("note_on", "note_off"):
            key = event.channel, event.data[0]
            # A note-off of a pitch that does not sound is ignored.
            if len(struck.get(key, ())) > len(ended.get(key, ())):
                ended.setdefault(key, []).append(event.tick)
        elif event.kind == "notes_off":
            for key, starts in struck.items():
                if key[0] == event.channel:
                    ends = ended.setdefault(key, [])
                    ends += [event.tick] * (len(starts) - len(ends))
        elif event.kind == "lyric":
            lyrics[event.tick] = _text(event.data).strip()
        elif event.kind == "marker" and _text(event.data) == _FERMATA:
            fermatas.add(event.tick)
    parts: dict[int, list[_Played]] = {}
    for (channel, pitch), starts in sorted(struck.items()):
        ends = ended.get((channel, pitch), [])
        for start, end in _lasting(starts, ends, track.end):
            fermata, lyric = start in fermatas, lyrics.get(start, "")
            note = _Played(start, end, pitch, fermata, lyric)
            parts.setdefault(channel, []).append(note)
    return {channel: sorted(part) for channel, part in parts.items()}


def _lasting(
    starts: list[int], ends: list[int], track_end: int
) -> Iterator[tuple[int, int]]:
    """The start and end of each note of a pitch; notes struck at once are one.

    The n-th end belongs to the n-th start. A note without an end lasts until the last end,
    if that is later, else until the end of the track. All end before the next start.
    """
    last = ends[-1] if ends else 0
    lasting: dict[int, int] = {}
    for start, end in itertools.zip_longest(starts, ends):
        if end is None:
            end = last if last > start else track_end
        lasting[start] = max(end, lasting.get(start, end))
    following = [*list(lasting)[1:], track_end]
    for (start, end), after in zip(lasting.items(), following, strict=True):
        yield start, min(end, after)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin1")


def _metres(file: midi_file.MidiFile) -> list[tuple[int, bars.Metre]]:
    """Returns the metres, and the tick from which each holds.

    Of several at one tick the last of the first track counts, as metres belong there.
    """
    found = {
        event.tick: (event.data[0], 2 ** event.data[1])
        for track in reversed(file.tracks)
        for event in track.events
        if event.kind == "time_signature" and len(event.data) >= 2
    }
    return sorted(found.items())


def _key(file: midi_file.MidiFile) -> str:
    """Returns the first valid key of the file; empty if it has none."""
    for track in file.tracks:
        for event in track.events:
            if event.kind == "key_signature" and len(event.data) >= 2:
                sharps, minor = struct.unpack("bB", event.data[:2])
                if abs(sharps) <= _MOST_SHARPS and minor in (0, 1):
                    return key_of(sharps, bool(minor))
    return ""
