"""Scores as MIDI files.

A fermata, for which MIDI has no event, is a marker with the text `fermata`.
"""

import itertools
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from regen_jax.errors import UserError
from regen_jax.extras import require
from regen_jax.modalities.music import bars, midi_file
from regen_jax.modalities.music.quantize import TimedNote, quantize_notes
from regen_jax.modalities.music.score import (
    Note,
    Score,
    fifths,
    key_from_fifths,
    voice_names,
)

_TICKS_PER_QUARTER = 480
_FERMATA = "fermata"
_CHOIR_PROGRAM = 52
_DRUM_CHANNEL = 9
_MAX_SHARPS = 7
# Names of key signatures, from 5 flats on.
_MAJOR = ("Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#")
_MINOR = ("Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#", "G#", "D#")


def write(path: str | Path, score: Score, tempo: float = 80) -> None:
    """Writes a file of type 1: a track of tempo, meter and key, then one per voice.

    Args:
      path: path of the file.
      score: lyrics and fermatas are written as text events.
      tempo: quarter notes per minute.

    Raises:
      UserError: the package `mido` is missing.
    """
    mido = require("mido", "music", "a MIDI file")

    file = mido.MidiFile(type=1, ticks_per_beat=_TICKS_PER_QUARTER, charset="utf-8")
    beats, unit = score.meter
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
        channel = (index + (index >= _DRUM_CHANNEL)) % 16
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
        track.append(
            mido.Message("program_change", channel=channel, program=_CHOIR_PROGRAM)
        )
        last_tick = 0
        for tick, message in _messages(voice, score.division, channel):
            track.append(message.copy(time=tick - last_tick))
            last_tick = tick
        file.tracks.append(track)
    file.save(path)


def _messages(voice: tuple[Note, ...], division: int, channel: int) -> Iterator:
    """Yields ticks from the start, and the messages at them."""
    mido = require("mido", "music", "a MIDI file")

    for note in voice:
        start, end = (
            round(step * _TICKS_PER_QUARTER / division)
            for step in (note.start, note.end)
        )
        if note.fermata:
            yield start, mido.MetaMessage("marker", text=_FERMATA)
        if note.lyric:
            yield start, mido.MetaMessage("lyrics", text=note.lyric)
        fields = {"channel": channel, "note": note.pitch}
        yield start, mido.Message("note_on", velocity=80, **fields)
        yield end, mido.Message("note_off", velocity=0, **fields)


def read(path: str | Path, division: int, voices: int = 0) -> Score:
    """Reads the notes of a file, one voice per track or channel with notes.

    Voices keep the order of the file; channel 10, that of drums, is ignored. Notes are
    quantized, see `quantize_notes`; the tempo and the silence after the last note are
    ignored. A note ends at the note-off of its pitch and channel that matches it in
    order, or at the next onset of its pitch; a controller that silences a channel ends
    its notes. The key is the first valid one, and a fermata is the marker that `write`
    writes. See `midi_file.parse` for the leniency of reading, and `bars.find_meter` for
    upbeats.

    Args:
      path: a file of type 0 or 1.
      division: steps per quarter note.
      voices: required number of voices; 0 for any.

    Raises:
      UserError: the file is missing, damaged or not MIDI; it has no notes or another
        number of voices; its meter changes or does not fit the steps; a note is out of
        range or would be lost; or a voice has several notes at once.
    """
    path = Path(path)
    label = f"MIDI file {str(path)!r}"
    file = _open(path, label)
    tracks = [_notes_by_channel(track, file.ticks) for track in file.tracks]
    parts = [
        part
        for channels in tracks
        for channel, part in channels.items()
        if channel != _DRUM_CHANNEL
    ]
    if not parts and any(tracks):
        raise UserError(
            f"{label} has notes on channel {_DRUM_CHANNEL + 1} alone, which plays drums: "
            "move them to another channel"
        )
    if not parts:
        raise UserError(f"{label} has no notes")
    if voices and len(parts) != voices:
        several_tracks = (
            sum(any(c != _DRUM_CHANNEL for c in channels) for channels in tracks) > 1
        )
        unit = "track" if several_tracks or len(parts) == 1 else "channel"
        needed = (
            "one voice is needed: keep the soprano alone"
            if voices == 1
            else f"{voices} voices are needed"
        )
        count = f"{len(parts)} {unit}{'s' * (len(parts) > 1)}"
        raise UserError(f"{label} has notes in {count}: {needed}")
    first = min(note.start for part in parts for note in part)
    end = max(note.end for part in parts for note in part)
    meter, bar_line = bars.find_meter(_meters(file), first, end, label)
    bars.check(meter, division, label)
    read_voices = []
    for index, part in enumerate(parts):
        timed_notes = [
            note._replace(start=note.start - bar_line, end=note.end - bar_line)
            for note in part
        ]
        voice_label = f"{label}, voice {index + 1}" if len(parts) > 1 else label
        read_voices.append(quantize_notes(timed_notes, division, meter, voice_label))
    return Score(tuple(read_voices), division, meter, _key(file))


def _open(path: Path, label: str) -> midi_file.MidiFile:
    if not path.is_file():
        raise UserError(f"there is no {label}")
    try:
        return midi_file.parse(path.read_bytes())
    except OSError as error:
        raise UserError(f"{label} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{label} {error}") from error


def _notes_by_channel(
    track: midi_file.Track, ticks_per_quarter: int
) -> dict[int, list[TimedNote]]:
    """Returns the ordered notes of each channel that has any."""
    onsets: dict[tuple[int, int], list[int]] = {}
    ended: dict[tuple[int, int], list[int]] = {}
    lyrics: dict[int, str] = {}
    fermatas: set[int] = set()
    for event in track.events:
        if event.kind == "note_on" and event.data[1]:
            onsets.setdefault((event.channel, event.data[0]), []).append(event.tick)
        elif event.kind in ("note_on", "note_off"):
            key = event.channel, event.data[0]
            # A note-off of a pitch that does not sound is ignored.
            if len(onsets.get(key, ())) > len(ended.get(key, ())):
                ended.setdefault(key, []).append(event.tick)
        elif event.kind == "notes_off":
            for key, starts in onsets.items():
                if key[0] == event.channel:
                    ends = ended.setdefault(key, [])
                    ends += [event.tick] * (len(starts) - len(ends))
        elif event.kind == "lyric":
            lyrics[event.tick] = _text(event.data).strip()
        elif event.kind == "marker" and _text(event.data) == _FERMATA:
            fermatas.add(event.tick)
    parts: dict[int, list[TimedNote]] = {}
    for (channel, pitch), starts in sorted(onsets.items()):
        ends = ended.get((channel, pitch), [])
        for start, end in _match_ends(starts, ends, track.end):
            note = TimedNote(
                Fraction(start, ticks_per_quarter),
                Fraction(end, ticks_per_quarter),
                *(pitch, start in fermatas, lyrics.get(start, "")),
            )
            parts.setdefault(channel, []).append(note)
    return {channel: sorted(part) for channel, part in parts.items()}


def _match_ends(
    starts: list[int], ends: list[int], track_end: int
) -> Iterator[tuple[int, int]]:
    """Yields the start and end of each note of a pitch; simultaneous onsets are one.

    The n-th end belongs to the n-th start. A note without an end lasts until the last end
    if that is later, else until the end of the track. All end by the next start.
    """
    last = ends[-1] if ends else 0
    ends_by_start: dict[int, int] = {}
    for start, end in itertools.zip_longest(starts, ends):
        if end is None:
            end = last if last > start else track_end
        ends_by_start[start] = max(end, ends_by_start.get(start, end))
    next_starts = [*list(ends_by_start)[1:], track_end]
    pairs = zip(ends_by_start.items(), next_starts, strict=True)
    for (start, end), next_start in pairs:
        yield start, min(end, next_start)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin1")


def _meters(file: midi_file.MidiFile) -> list[tuple[Fraction, bars.Meter]]:
    """Returns the meters and their first times in quarter notes.

    Among several at one tick the last of the first track is used, where meters belong.
    """
    meters = {
        Fraction(event.tick, file.ticks): (event.data[0], 2 ** event.data[1])
        for track in reversed(file.tracks)
        for event in track.events
        if event.kind == "time_signature" and len(event.data) >= 2
    }
    return sorted(meters.items())


def _key(file: midi_file.MidiFile) -> str:
    """Returns the first valid key of the file, or an empty text."""
    for track in file.tracks:
        for event in track.events:
            if event.kind == "key_signature" and len(event.data) >= 2:
                sharps, minor = struct.unpack("bB", event.data[:2])
                if abs(sharps) <= _MAX_SHARPS and minor in (0, 1):
                    return key_from_fifths(sharps, bool(minor))
    return ""
