"""Scores as MusicXML files, which programs of notation open."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from regen_jax.errors import UserError
from regen_jax.modalities.music import bars
from regen_jax.modalities.music.quantize import Sound, quantized, require
from regen_jax.modalities.music.score import Note, Score, fifths, key_of, voice_names

_MIDDLE_C = 60
_STEPS = "FCGDAEB"


def write(path: str | Path, score: Score, title: str = "") -> None:
    """Writes a part for each voice, filled up with rests to the end of the last bar.

    Syllables, fermatas and the key go along, and pitches are spelt as the key has them.
    `UserError` where the package `music21` is missing.
    """
    require("music21")
    from music21 import clef, key, metadata, meter, stream

    beats, unit = score.metre
    bar = Fraction(4 * beats, unit)
    quarters = Fraction(score.length, score.division)
    end = max(1, -(-quarters // bar)) * bar
    whole = stream.Score()
    # Where these are empty, the writer puts its own name.
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
    """Notes and the rests between them, each with its beginning in quarters."""
    from music21 import expressions, note

    spelling = _spelling(score.key)
    now, within_word = Fraction(0), False
    for one in voice:
        start = Fraction(one.start, score.division)
        if now < start:
            yield now, note.Rest(quarterLength=start - now)
        octave = one.pitch // 12 - 1
        name = spelling[one.pitch % 12]
        # B sharp and C flat are named after the octave of their letter.
        octave += {"B#": -1, "C-": 1}.get(name, 0)
        length = Fraction(one.duration, score.division)
        written = note.Note(f"{name}{octave}", quarterLength=length)
        if one.fermata:
            written.expressions.append(expressions.Fermata())
        if one.lyric:
            goes_on = one.lyric.endswith("-") and one.lyric != "-"
            syllabic = (
                ("middle" if within_word else "begin")
                if goes_on
                else ("end" if within_word else "single")
            )
            text = one.lyric[:-1] if goes_on else one.lyric
            written.lyrics.append(note.Lyric(text, syllabic=syllabic))
            within_word = goes_on
        yield start, written
        now = start + length
    if now < end:
        yield now, note.Rest(quarterLength=end - now)


def _spelling(key: str) -> dict[int, str]:
    """The name of each pitch class: those next to the key on the line of fifths."""
    sharps = fifths(key) if key else 0
    # A minor key has its leading tone and that of its dominant as sharps.
    first = sharps - (2 if key[:1].islower() else 3)
    names = {}
    for fifth in range(first, first + 12):
        sign, letter = divmod(fifth + 1, 7)
        accidental = "#" * sign if sign > 0 else "-" * -sign
        names[fifth * 7 % 12] = f"{_STEPS[letter]}{accidental}"
    return names


def read(path: str | Path, division: int) -> Score:
    """Reads the parts of a file, in its order, each a voice.

    A first bar that is short is a pickup and filled up with silence in front. Ties are
    joined, repeats are not played, grace notes and all verses but the first are left
    out.

    Arguments:
      path: a file of MusicXML, compressed or not.
      division: steps a quarter note. Notes go to the nearest, and last at least one.

    Raises:
      UserError: the file is missing, damaged, or no MusicXML; it has no notes; its
        metre changes or does not fit the steps; a note is out of range; a part has
        several notes at once; or the package `music21` is missing.
    """
    require("music21")
    from music21 import converter, key, meter

    path = Path(path)
    what = f"MusicXML file {str(path)!r}"
    if not path.is_file():
        raise UserError(f"there is no {what}")
    try:
        whole = converter.parse(
            path, format="musicxml", forceSource=True, storePickle=False
        )
        # What is not a score has nothing to be counted, whatever the error.
        parts = [part for part in whole.parts if part.recurse().notes]
    except Exception as error:
        raise UserError(f"{what} is damaged or no MusicXML") from error
    if not parts:
        raise UserError(f"{what} has no notes")
    first = parts[0]
    metres = [
        (change.measureNumber or 1, (change.numerator, change.denominator))
        for change in first.recurse().getElementsByClass(meter.TimeSignature)
    ]
    metre = metres[0][1] if metres else (4, 4)
    for bar, other in metres:
        if other != metre:
            raise UserError(f"{what}: {bars.change(bar, metre, other)}")
    bars.check(metre, division, what)
    found = first.recurse().getElementsByClass(key.Key).first()
    name = key_of(found.sharps, found.mode == "minor") if found else ""
    # A part may leave out the rests of a bar: the longest says how long it is.
    measures = [part.getElementsByClass("Measure").first() for part in parts]
    sizes = [Fraction(bar.highestTime) for bar in measures if bar is not None]
    shift = max(Fraction(0), Fraction(4 * metre[0], metre[1]) - max(sizes, default=0))
    voices = tuple(
        quantized(
            _sounds(part, shift if sizes else Fraction(0)),
            division,
            metre,
            f"{what}, part {index + 1}" if len(parts) > 1 else what,
        )
        for index, part in enumerate(parts)
    )
    return Score(voices, division, metre, name)


def _sounds(part, shift: Fraction) -> list[Sound]:
    """The notes of a part, that much later; tied ones are one."""
    sounds: list[Sound] = []
    for element in part.flatten().notes:
        if element.duration.isGrace or "ChordSymbol" in element.classes:
            continue
        start = Fraction(element.offset) + shift
        end = start + Fraction(element.quarterLength)
        fermata = any("Fermata" in sign.classes for sign in element.expressions)
        lyric = _syllable(element.lyrics[0]) if element.lyrics else ""
        for pitch in element.pitches:
            tied = element.tie is not None and element.tie.type in ("continue", "stop")
            last = sounds[-1] if sounds else None
            if tied and last and (last.end, last.pitch) == (start, pitch.midi):
                fermata |= last.fermata
                sounds[-1] = Sound(last.start, end, last.pitch, fermata, last.lyric)
            else:
                sounds.append(Sound(start, end, pitch.midi, fermata, lyric))
    return sounds


def _syllable(lyric) -> str:
    text = (lyric.text or "").strip()
    return f"{text}-" if text and lyric.syllabic in ("begin", "middle") else text
