"""Scores as MIDI files.

What MIDI has no event for travels in events of text: a fermata is a marker `fermata`.
"""

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from regen_jax.errors import UserError
from regen_jax.music.quantize import Sound, check_metre, quantized, require
from regen_jax.music.score import Note, Score, fifths, key_of, voice_names

_TICKS = 480
_FERMATA = "fermata"
_CHOIR = 52
_DRUMS = 9
_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
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

    Voices keep the order of the file. Notes go to the nearest steps and last at least
    one; the tempo is not regarded, nor is the silence after the last note. A key is
    named as far as the file does, a fermata is what `write` makes of one.

    Arguments:
      path: a file of type 0 or 1.
      division: steps a quarter note.
      voices: how many there must be; 0 is any number.

    Raises:
      UserError: the file is missing, damaged, or no MIDI; it has no notes or other
        voices; its metre changes or does not fit the steps; a note is out of range;
        a voice has several notes at once; or the package `mido` is missing.
    """
    path = Path(path)
    what = f"MIDI file {str(path)!r}"
    file = _open(path, what)
    parts = [part for track in file.tracks for part in _parts(track)]
    if not parts:
        raise UserError(f"{what} has no notes")
    if voices and len(parts) != voices:
        several = sum(bool(_parts(track)) for track in file.tracks) > 1
        places = "track" if several or len(parts) == 1 else "channel"
        needed = (
            "one voice is needed: keep the soprano alone"
            if voices == 1
            else f"{voices} voices are needed"
        )
        count = f"{len(parts)} {places}{'s' * (len(parts) > 1)}"
        raise UserError(f"{what} has notes in {count}: {needed}")
    metre = check_metre(_metres(file), division, what)
    quarter = file.ticks_per_beat
    read_voices = []
    for index, part in enumerate(parts):
        sounds = [
            Sound(Fraction(start, quarter), Fraction(end, quarter), *rest)
            for start, end, *rest in part
        ]
        where = f"{what}, voice {index + 1}" if len(parts) > 1 else what
        read_voices.append(quantized(sounds, division, metre, where))
    return Score(tuple(read_voices), division, metre, _key(file))


def _open(path: Path, what: str):
    mido = require("mido")

    if not path.is_file():
        raise UserError(f"there is no {what}")
    try:
        try:
            file = mido.MidiFile(path, charset="utf-8")
        except UnicodeDecodeError:
            file = mido.MidiFile(path, charset="latin1")
    # mido has no error of its own: damage shows as whatever it stumbles over.
    except Exception as error:
        raise UserError(f"{what} is damaged or no MIDI") from error
    if file.type == 2 or file.ticks_per_beat <= 0:
        raise UserError(f"{what} has no bars: one of type 0 or 1 in beats is needed")
    return file


def _timed(track) -> Iterator[tuple[int, object]]:
    """Messages, with ticks from the beginning."""
    ticks = itertools.accumulate(message.time for message in track)
    return zip(ticks, track, strict=True)


def _parts(track) -> list[list[tuple[int, int, int, bool, str]]]:
    """Start, end, pitch, fermata and lyric of the notes of each channel."""
    ends: dict[int, list[tuple[int, int, int]]] = {}
    open_notes: dict[tuple[int, int], int] = {}
    lyrics: dict[int, str] = {}
    fermatas: set[int] = set()
    tick = 0
    for tick, message in _timed(track):
        if message.type in ("note_on", "note_off"):
            key = message.channel, message.note
            if key in open_notes:
                ends.setdefault(key[0], []).append((open_notes.pop(key), tick, key[1]))
            if message.type == "note_on" and message.velocity:
                open_notes[key] = tick
        elif message.type == "lyrics":
            lyrics[tick] = message.text.strip()
        elif message.type == "marker" and message.text == _FERMATA:
            fermatas.add(tick)
    for (channel, pitch), start in open_notes.items():
        ends.setdefault(channel, []).append((start, tick, pitch))
    return [
        [
            (start, end, pitch, start in fermatas, lyrics.get(start, ""))
            for start, end, pitch in ends[channel]
        ]
        for channel in sorted(ends)
    ]


def _metres(file) -> list[tuple[int, tuple[int, int]]]:
    """The bar from which each metre holds, the first 4/4 where the file has none."""
    found = sorted(
        (tick, (message.numerator, message.denominator))
        for track in file.tracks
        for tick, message in _timed(track)
        if message.type == "time_signature"
    )
    if not found or found[0][0]:
        found.insert(0, (0, (4, 4)))
    bar, (before, (beats, unit)) = Fraction(1), found[0]
    metres = [(1, found[0][1])]
    for tick, metre in found[1:]:
        quarters = Fraction(tick - before, file.ticks_per_beat)
        bar += quarters * unit / (4 * max(1, beats))
        metres.append((int(bar), metre))
        before, (beats, unit) = tick, metre
    return metres


def _key(file) -> str:
    """The first that the file names; empty where none is."""
    for track in file.tracks:
        for message in track:
            if message.type == "key_signature":
                minor = message.key.endswith("m")
                name = message.key.removesuffix("m")
                sign = name.count("#") - name.count("b")
                sharps = (_LETTERS[name[0]] + sign + 3 * minor) * 7
                return key_of(sharps, minor)
    return ""
