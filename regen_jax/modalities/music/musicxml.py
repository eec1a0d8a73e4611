"""Scores as MusicXML files, for notation programs."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from regen_jax.errors import UserError
from regen_jax.extras import require
from regen_jax.modalities.music import bars
from regen_jax.modalities.music.quantize import TimedNote, quantize_notes
from regen_jax.modalities.music.score import (
    Note,
    Score,
    fifths,
    key_from_fifths,
    voice_names,
)

_MIDDLE_C = 60
_LETTERS_BY_FIFTHS = "FCGDAEB"


def write(path: str | Path, score: Score, title: str = "") -> None:
    """Writes a part per voice, padded with rests to the end of the last bar.

    Lyrics, fermatas and the key are written, and pitches are spelled as in the key.

    Args:
      path: path of the file.
      score: the score.
      title: title of the piece.

    Raises:
      UserError: the package `music21` is missing.
    """
    require("music21", "music", "a MusicXML file")
    from music21 import clef, key, metadata, meter, stream

    beats, unit = score.meter
    bar = bars.quarters(score.meter)
    quarters = Fraction(score.length, score.division)
    end = max(1, -(-quarters // bar)) * bar
    whole = stream.Score()
    # music21 replaces empty values by its own name.
    whole.metadata = metadata.Metadata(title=title or " ", composer=" ")
    names = voice_names(len(score.voices))
    for name, voice in zip(names, score.voices, strict=True):
        part = stream.Part(id=name)
        part.partName = name
        mean = sum(note.pitch for note in voice) / max(1, len(voice))
        low = voice and mean < _MIDDLE_C
        part.append(clef.BassClef() if low else clef.TrebleClef())
        if score.key:
            sharps = fifths(score.key)
            mode = "minor" if score.key[0].islower() else "major"
            part.append(key.KeySignature(sharps).asKey(mode))
        part.append(meter.TimeSignature(f"{beats}/{unit}"))
        for start, element in _elements(voice, score, end):
            part.insert(start, element)
        whole.insert(0, part)
    whole.write("musicxml", fp=path)


def _elements(voice: tuple[Note, ...], score: Score, end: Fraction) -> Iterator:
    """Yields notes and the rests between them, each after its time in quarter notes."""
    from music21 import expressions, note

    spelling = _spelling(score.key)
    now, within_word = Fraction(0), False
    for score_note in voice:
        start = Fraction(score_note.start, score.division)
        if now < start:
            yield now, note.Rest(quarterLength=start - now)
        octave = score_note.pitch // 12 - 1
        name = spelling[score_note.pitch % 12]
        # The octave of B sharp and C flat is that of their letter.
        octave += {"B#": -1, "C-": 1}.get(name, 0)
        length = Fraction(score_note.duration, score.division)
        element = note.Note(f"{name}{octave}", quarterLength=length)
        if score_note.fermata:
            element.expressions.append(expressions.Fermata())
        if score_note.lyric:
            continues = score_note.lyric.endswith("-") and score_note.lyric != "-"
            syllabic = (
                ("middle" if within_word else "begin")
                if continues
                else ("end" if within_word else "single")
            )
            text = score_note.lyric[:-1] if continues else score_note.lyric
            element.lyrics.append(note.Lyric(text, syllabic=syllabic))
            within_word = continues
        yield start, element
        now = start + length
    if now < end:
        yield now, note.Rest(quarterLength=end - now)


def _spelling(key: str) -> dict[int, str]:
    """Names each pitch class by its spelling next to the key on the line of fifths."""
    sharps = fifths(key) if key else 0
    # The leading tones of a minor key and of its dominant are spelled as sharps.
    first = sharps - (2 if key[:1].islower() else 3)
    names = {}
    for fifth in range(first, first + 12):
        sign, letter = divmod(fifth + 1, 7)
        accidental = "#" * sign if sign > 0 else "-" * -sign
        names[fifth * 7 % 12] = f"{_LETTERS_BY_FIFTHS[letter]}{accidental}"
    return names


def read(path: str | Path, division: int) -> Score:
    """Reads the parts of a file, in its order, as voices.

    A short first bar is an upbeat and padded with silence before it. Ties are joined,
    repeats are not expanded, grace notes and all verses but the first are ignored.

    Args:
      path: a MusicXML file, compressed or not.
      division: steps per quarter note; notes are quantized, see `quantize_notes`.

    Raises:
      UserError: the file is missing, damaged or not MusicXML; it has no notes; its
        meter changes or does not fit the steps; a note is out of range; a part has
        several notes at once; or the package `music21` is missing.
    """
    require("music21", "music", "a MusicXML file")
    from music21 import converter
    from music21.key import Key
    from music21.meter import TimeSignature

    path = Path(path)
    label = f"MusicXML file {str(path)!r}"
    if not path.is_file():
        raise UserError(f"there is no {label}")
    try:
        whole = converter.parse(
            path, format="musicxml", forceSource=True, storePickle=False
        )
        # music21 raises errors of many kinds for content that is not a score.
        parts = [part for part in whole.parts if part.recurse().notes]
    except Exception as error:
        raise UserError(f"{label} is damaged or not MusicXML") from error
    if not parts:
        raise UserError(f"{label} has no notes")
    first = parts[0]
    meters = [
        (change.measureNumber or 1, (change.numerator, change.denominator))
        for change in first.recurse().getElementsByClass(TimeSignature)
    ]
    meter = meters[0][1] if meters else (4, 4)
    for bar, other in meters:
        if other != meter:
            raise UserError(f"{label}: {bars.meter_change(bar, meter, other)}")
    bars.check(meter, division, label)
    key = first.recurse().getElementsByClass(Key).first()
    key_name = key_from_fifths(key.sharps, key.mode == "minor") if key else ""
    # A part may omit the rests of a bar, so the longest part gives its length.
    measures = [part.getElementsByClass("Measure").first() for part in parts]
    sizes = [Fraction(bar.highestTime) for bar in measures if bar is not None]
    shift = max(Fraction(0), bars.quarters(meter) - max(sizes, default=0))
    voices = tuple(
        quantize_notes(
            _timed_notes(part, shift if sizes else Fraction(0)),
            division,
            meter,
            f"{label}, part {index + 1}" if len(parts) > 1 else label,
        )
        for index, part in enumerate(parts)
    )
    return Score(voices, division, meter, key_name)


def _timed_notes(part, shift: Fraction) -> list[TimedNote]:
    """Returns the notes of a part, shifted in time; tied notes are joined."""
    notes: list[TimedNote] = []
    for element in part.flatten().notes:
        if element.duration.isGrace or "ChordSymbol" in element.classes:
            continue
        start = Fraction(element.offset) + shift
        end = start + Fraction(element.quarterLength)
        fermata = any("Fermata" in mark.classes for mark in element.expressions)
        lyric = _syllable(element.lyrics[0]) if element.lyrics else ""
        for pitch in element.pitches:
            is_tied = element.tie is not None and element.tie.type in (
                "continue",
                "stop",
            )
            last = notes[-1] if notes else None
            if is_tied and last and (last.end, last.pitch) == (start, pitch.midi):
                fermata |= last.fermata
                notes[-1] = TimedNote(last.start, end, last.pitch, fermata, last.lyric)
            else:
                notes.append(TimedNote(start, end, pitch.midi, fermata, lyric))
    return notes


def _syllable(lyric) -> str:
    text = (lyric.text or "").strip()
    return f"{text}-" if text and lyric.syllabic in ("begin", "middle") else text
