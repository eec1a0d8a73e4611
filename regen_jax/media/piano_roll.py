"""Scores as piano rolls: time to the right, pitch upwards, one color per voice."""

import dataclasses
import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from regen_jax.modalities.music import events
from regen_jax.modalities.music.score import Note, Score, voice_names

# The color-blind safe palette of Okabe and Ito, from the highest voice down.
_COLORS = ((213, 94, 0), (204, 121, 167), (0, 158, 115), (0, 114, 178))
_BACKGROUND, _INK, _GRAY = (255, 255, 255), (40, 40, 40), (140, 140, 140)
_BEAT_LINE, _BAR_LINE = (240, 240, 240), (190, 190, 190)
_OCTAVE_LINE = (214, 214, 228)
# Pixels.
_FONT_SIZE, _LINE_HEIGHT, _WORD_GAP = 13, 18, 4
_LEFT, _GAP = 34, 10
_SEMITONE = 7
_FERMATA_WIDTH = 12
_MARGIN = 3
"""Semitones shown below the lowest note and above the highest."""


def render_piano_roll(
    score: Score,
    reference: Score | None = None,
    *,
    chords: Sequence[str] = (),
    width: int = 1200,
    beats_per_row: int = 24,
) -> np.ndarray:
    """Renders a score as a piano roll of one or more rows of whole bars.

    Notes have a dark edge at their onset; bars are numbered. Below each row stand the
    lyrics of the first voice that has any, and chords.

    Args:
      score: drawn filled.
      reference: a score to compare with, drawn as outlines over it.
      chords: a name per beat from the first on; within a row, repetitions of the
        previous name are not written.
      width: pixels.
      beats_per_row: maximum number of beats in a row, which has at least one bar.

    Returns:
      u8[H, width, 3].
    """
    scores = [score] if reference is None else [score, reference]
    beats, unit = score.meter
    length = max(
        *(s.length / s.division * unit / 4 for s in scores), float(len(chords)), 1.0
    )
    bars = math.ceil(length / beats)
    rows = math.ceil(bars / max(1, beats_per_row // beats))
    row_beats = beats * math.ceil(bars / rows)
    pitches = [n.pitch for s in scores for v in s.voices for n in v] or [60, 72]
    lyrics = next(([*_lyrics(v)] for v in score.voices if any(_lyrics(v))), [])
    layout = _Layout(
        low=min(pitches) - _MARGIN,
        high=max(pitches) + _MARGIN,
        row_beats=row_beats,
        beat_width=(width - _LEFT - _GAP) / row_beats,
        unit=unit,
        text_lines=bool(lyrics) + bool(chords),
        header=_LINE_HEIGHT if len(score.voices) > 1 else 0,
    )
    image = Image.new("RGB", (width, layout.top(rows) - _LINE_HEIGHT), _BACKGROUND)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(_FONT_SIZE)
    for row in range(rows):
        _draw_rulers(draw, font, layout, row, beats)
    # The highest voice is drawn last, at half height where it meets another.
    for index, voice in reversed([*enumerate(score.voices)]):
        color = _COLORS[index % len(_COLORS)]
        lower_notes = [note for lower in score.voices[index + 1 :] for note in lower]
        for note in voice:
            overlaps = any(
                n.pitch == note.pitch and n.start < note.end and note.start < n.end
                for n in lower_notes
            )
            height = (_SEMITONE + overlaps) // (1 + overlaps)
            _draw_note(draw, layout, note, score.division, color, height)
    for voice in reference.voices if reference else ():
        for note in voice:
            for box in layout.boxes(note, reference.division):
                draw.rectangle(box, outline=_INK)
    syllables = [(n.start * unit / (4 * score.division), text) for n, text in lyrics]
    chord_changes = [
        (beat, chord)
        for beat, chord in enumerate(chords)
        if beat % row_beats == 0 or chord != chords[beat - 1]
    ]
    _draw_texts(draw, font, layout, syllables, line=0)
    _draw_texts(draw, font, layout, chord_changes, line=layout.text_lines - 1)
    if layout.header:
        _draw_legend(draw, font, len(score.voices))
    return np.asarray(image)


@dataclasses.dataclass(frozen=True)
class _Layout:
    """Maps beats and pitches to pixels.

    Attributes:
      low: lowest MIDI pitch that is shown.
      high: highest MIDI pitch that is shown.
      row_beats: beats per row.
      beat_width: pixels per beat.
      unit: note value of a beat.
      text_lines: lines of text below each row.
      header: pixels above the first row.
    """

    low: int
    high: int
    row_beats: int
    beat_width: float
    unit: int
    text_lines: int
    header: int

    @property
    def staff_height(self) -> int:
        return (self.high - self.low + 1) * _SEMITONE

    @property
    def row_height(self) -> int:
        return _GAP + _LINE_HEIGHT + self.staff_height + self.text_lines * _LINE_HEIGHT

    def top(self, row: int) -> int:
        """Returns the y of the upper edge of the highest pitch in a row."""
        return self.header + row * self.row_height + _GAP + _LINE_HEIGHT

    def locate(self, beat: float) -> tuple[float, int]:
        """Returns the x of a beat, and its row."""
        row, beat_in_row = divmod(beat, self.row_beats)
        return _LEFT + beat_in_row * self.beat_width, int(row)

    def boxes(
        self, note: Note, division: int
    ) -> Iterator[tuple[float, float, float, float]]:
        """Yields left, top, right and bottom of a note's part in each of its rows."""
        beat, end = (s * self.unit / (4 * division) for s in (note.start, note.end))
        while beat < end:
            left, row = self.locate(beat)
            row_end = min(end, (row + 1) * self.row_beats)
            y = self.top(row) + (self.high - note.pitch) * _SEMITONE
            right = left + (row_end - beat) * self.beat_width
            yield round(left), y, round(right) - 2, y + _SEMITONE - 1
            beat = row_end


def _draw_rulers(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont,
    layout: _Layout,
    row: int,
    beats: int,
) -> None:
    top, bottom = layout.top(row), layout.top(row) + layout.staff_height
    right = _LEFT + layout.row_beats * layout.beat_width
    for beat in range(layout.row_beats + 1):
        x = round(_LEFT + beat * layout.beat_width)
        draw.line((x, top, x, bottom), _BEAT_LINE if beat % beats else _BAR_LINE)
        if beat % beats == 0 and beat < layout.row_beats:
            number = (row * layout.row_beats + beat) // beats + 1
            draw.text((x, top - 3), str(number), _GRAY, font, anchor="lb")
    for pitch in range(layout.low, layout.high + 1):
        if pitch % 12 == 0:
            y = top + (layout.high - pitch) * _SEMITONE + _SEMITONE // 2
            draw.line((_LEFT, y, right, y), _OCTAVE_LINE)
            name = events.pitch_name(pitch)
            draw.text((_LEFT - 6, y), name, _INK, font, anchor="rm")


def _draw_note(
    draw: ImageDraw.ImageDraw,
    layout: _Layout,
    note: Note,
    division: int,
    color: tuple[int, int, int],
    height: int,
) -> None:
    dark = tuple(channel // 2 for channel in color)
    for index, (left, top, right, _) in enumerate(layout.boxes(note, division)):
        bottom = top + height - 1
        draw.rectangle((left, top, max(left, right), bottom), color)
        if index:
            continue
        draw.rectangle((left, top, left + 1, bottom), dark)
        if note.fermata:
            x, y = left + _FERMATA_WIDTH / 2, top - 3
            arc = (x - _FERMATA_WIDTH / 2, y - 6, x + _FERMATA_WIDTH / 2, y + 6)
            draw.arc(arc, 180, 360, _INK, 2)
            draw.ellipse((x - 1, y - 3, x + 1, y - 1), _INK)


def _lyrics(voice: Sequence[Note]) -> Iterator[tuple[Note, str]]:
    """Yields the notes that have lyrics, and these in ASCII."""
    for note in voice:
        if note.lyric:
            # Pillow's default font has only ASCII letters.
            plain = unicodedata.normalize("NFKD", note.lyric.replace("ß", "ss"))
            yield note, plain.encode("ascii", "ignore").decode()


def _draw_texts(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont,
    layout: _Layout,
    texts: Iterable[tuple[float, str]],
    line: int,
) -> None:
    """Draws texts at their beats, each moved right of the one before it."""
    next_free: dict[int, float] = {}
    for beat, text in texts:
        x, row = layout.locate(beat)
        x = max(x, next_free.get(row, 0))
        y = layout.top(row) + layout.staff_height + (line + 0.5) * _LINE_HEIGHT
        draw.text((x, y), text, _INK, font, anchor="lm")
        next_free[row] = x + font.getlength(text) + _WORD_GAP


def _draw_legend(
    draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont, voices: int
) -> None:
    x = float(_LEFT)
    for index, name in enumerate(voice_names(voices)):
        color = _COLORS[index % len(_COLORS)]
        draw.text((x, _GAP), name, color, font, anchor="lt")
        x += font.getlength(name) + 3 * _WORD_GAP
