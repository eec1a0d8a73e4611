"""Scores as pictures: time to the right, pitch upwards, a colour for each voice."""

import dataclasses
import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from regen_jax.modalities.music import events
from regen_jax.modalities.music.score import Note, Score, voice_names

# Told apart in most kinds of colour blindness (Okabe and Ito); from the highest voice.
_COLOURS = ((213, 94, 0), (204, 121, 167), (0, 158, 115), (0, 114, 178))
_PAPER, _INK, _DIM = (255, 255, 255), (40, 40, 40), (140, 140, 140)
_BEAT, _OCTAVE, _BAR = (240, 240, 240), (214, 214, 228), (190, 190, 190)
_TEXT_SIZE, _LINE, _SPACE = 13, 18, 4
_LEFT, _GAP = 34, 10
_SEMITONE = 7
_FERMATA = 12
_SPARE = 3


def picture(
    score: Score,
    other: Score | None = None,
    *,
    chords: Sequence[str] = (),
    width: int = 1200,
    row: int = 24,
) -> np.ndarray:
    """Draws a score as a piano roll that wraps into even rows of whole bars.

    Notes have a dark edge where they begin; bars are numbered. Beneath each row stand
    the syllables of the first voice that has any, and chords.

    Arguments:
      score: drawn filled.
      other: a score to compare with, drawn as frames over it, such as the real one.
      chords: a name for each beat from the beginning; one that repeats the name before
        it is not written again within a row.
      width: pixels.
      row: at most that many beats stand beside each other, but at least a bar.

    Returns:
      uint8 [H, width, 3].
    """
    scores = [score] if other is None else [score, other]
    beats, unit = score.metre
    length = max(
        *(s.length / s.division * unit / 4 for s in scores), float(len(chords)), 1.0
    )
    bars = math.ceil(length / beats)
    rows = math.ceil(bars / max(1, row // beats))
    row_beats = beats * math.ceil(bars / rows)
    pitches = [n.pitch for s in scores for v in s.voices for n in v] or [60, 72]
    syllables = next(([*_sung(v)] for v in score.voices if any(_sung(v))), [])
    page = _Page(
        low=min(pitches) - _SPARE,
        high=max(pitches) + _SPARE,
        row_beats=row_beats,
        beat_width=(width - _LEFT - _GAP) / row_beats,
        unit=unit,
        texts=bool(syllables) + bool(chords),
        header=_LINE if len(score.voices) > 1 else 0,
    )
    paper = Image.new("RGB", (width, page.top(rows) - _LINE), _PAPER)
    draw = ImageDraw.Draw(paper)
    font = ImageFont.load_default(_TEXT_SIZE)
    for index in range(rows):
        _ruled(draw, font, page, index, beats)
    # The highest voice last, and of half the height where it meets another.
    for index, voice in reversed([*enumerate(score.voices)]):
        colour = _COLOURS[index % len(_COLOURS)]
        below = [note for lower in score.voices[index + 1 :] for note in lower]
        for note in voice:
            meets = any(
                n.pitch == note.pitch and n.start < note.end and note.start < n.end
                for n in below
            )
            height = (_SEMITONE + meets) // (1 + meets)
            _filled(draw, page, note, score.division, colour, height)
    for voice in other.voices if other else ():
        for note in voice:
            for box in page.boxes(note, other.division):
                draw.rectangle(box, outline=_INK)
    sung = [(n.start * unit / (4 * score.division), text) for n, text in syllables]
    changes = [
        (beat, chord)
        for beat, chord in enumerate(chords)
        if beat % row_beats == 0 or chord != chords[beat - 1]
    ]
    _written(draw, font, page, sung, line=0)
    _written(draw, font, page, changes, line=page.texts - 1)
    if page.header:
        _legend(draw, font, len(score.voices))
    return np.asarray(paper)


@dataclasses.dataclass(frozen=True)
class _Page:
    """Where things stand, in pixels.

    Attributes:
      low: the lowest pitch, and `high` the highest.
      row_beats: beats a row, of `beat_width` pixels each.
      unit: the note value of a beat.
      texts: lines of text beneath a row.
      header: what is left free above the first row.
    """

    low: int
    high: int
    row_beats: int
    beat_width: float
    unit: int
    texts: int
    header: int

    @property
    def staff_height(self) -> int:
        return (self.high - self.low + 1) * _SEMITONE

    @property
    def row_height(self) -> int:
        return _GAP + _LINE + self.staff_height + self.texts * _LINE

    def top(self, row: int) -> int:
        """The upper edge of the highest pitch."""
        return self.header + row * self.row_height + _GAP + _LINE

    def place(self, beat: float) -> tuple[float, int]:
        """x of a beat, and its row."""
        row, length_mask = divmod(beat, self.row_beats)
        return _LEFT + length_mask * self.beat_width, int(row)

    def boxes(
        self, note: Note, division: int
    ) -> Iterator[tuple[float, float, float, float]]:
        """Left, top, right and bottom of a note, of its part in each row it reaches."""
        beat, end = (s * self.unit / (4 * division) for s in (note.start, note.end))
        while beat < end:
            left, row = self.place(beat)
            until = min(end, (row + 1) * self.row_beats)
            y = self.top(row) + (self.high - note.pitch) * _SEMITONE
            right = left + (until - beat) * self.beat_width
            yield round(left), y, round(right) - 2, y + _SEMITONE - 1
            beat = until


def _ruled(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont,
    page: _Page,
    row: int,
    beats: int,
) -> None:
    top, bottom = page.top(row), page.top(row) + page.staff_height
    right = _LEFT + page.row_beats * page.beat_width
    for beat in range(page.row_beats + 1):
        x = round(_LEFT + beat * page.beat_width)
        draw.line((x, top, x, bottom), _BEAT if beat % beats else _BAR)
        if beat % beats == 0 and beat < page.row_beats:
            number = (row * page.row_beats + beat) // beats + 1
            draw.text((x, top - 3), str(number), _DIM, font, anchor="lb")
    for pitch in range(page.low, page.high + 1):
        if pitch % 12 == 0:
            y = top + (page.high - pitch) * _SEMITONE + _SEMITONE // 2
            draw.line((_LEFT, y, right, y), _OCTAVE)
            name = events.name(pitch)
            draw.text((_LEFT - 6, y), name, _INK, font, anchor="rm")


def _filled(
    draw: ImageDraw.ImageDraw,
    page: _Page,
    note: Note,
    division: int,
    colour: tuple[int, int, int],
    height: int,
) -> None:
    dark = tuple(channel // 2 for channel in colour)
    for index, (left, top, right, _) in enumerate(page.boxes(note, division)):
        bottom = top + height - 1
        draw.rectangle((left, top, max(left, right), bottom), colour)
        if index:
            continue
        draw.rectangle((left, top, left + 1, bottom), dark)
        if note.fermata:
            x, y = left + _FERMATA / 2, top - 3
            arc = (x - _FERMATA / 2, y - 6, x + _FERMATA / 2, y + 6)
            draw.arc(arc, 180, 360, _INK, 2)
            draw.ellipse((x - 1, y - 3, x + 1, y - 1), _INK)


def _sung(voice: Sequence[Note]) -> Iterator[tuple[Note, str]]:
    for note in voice:
        if note.lyric:
            # Pillow's own font has the letters of ASCII only.
            plain = unicodedata.normalize("NFKD", note.lyric.replace("ß", "ss"))
            yield note, plain.encode("ascii", "ignore").decode()


def _written(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont,
    page: _Page,
    texts: Iterable[tuple[float, str]],
    line: int,
) -> None:
    """Texts at their beats, moved on where the one before reaches further."""
    free = {}
    for beat, text in texts:
        x, row = page.place(beat)
        x = max(x, free.get(row, 0))
        y = page.top(row) + page.staff_height + (line + 0.5) * _LINE
        draw.text((x, y), text, _INK, font, anchor="lm")
        free[row] = x + font.getlength(text) + _SPACE


def _legend(
    draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont, voices: int
) -> None:
    x = float(_LEFT)
    for index, name in enumerate(voice_names(voices)):
        colour = _COLOURS[index % len(_COLOURS)]
        draw.text((x, _GAP), name, colour, font, anchor="lt")
        x += font.getlength(name) + 3 * _SPACE
