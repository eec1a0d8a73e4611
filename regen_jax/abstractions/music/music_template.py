"""A template of a score: its tonality, chords, rhythm and cadences, a row a beat."""

import dataclasses
import functools
import re
from typing import Annotated

import numpy as np
from annotated_types import Interval

from regen_jax import ranges
from regen_jax.errors import UserError
from regen_jax.interfaces import Example, HostFeature
from regen_jax.metrics.music import in_chord_fraction
from regen_jax.modalities.music import beat_table, events
from regen_jax.modalities.music.beat_table import Column
from regen_jax.modalities.music.cadences import CADENCES, cadences
from regen_jax.modalities.music.chords import CHORDS, recognize, tones, weights
from regen_jax.modalities.music.keys import KEYS, durations, estimate
from regen_jax.modalities.music.rhythm import patterns, rhythms
from regen_jax.modalities.music.template_constraints import TemplateRules
from regen_jax.spaces import Tokens

LEVELS = ("key", "chord", "rhythm", "cadence")


@dataclasses.dataclass(frozen=True)
class MusicTemplate(HostFeature):
    """The template of TeleMelody (Ju et al., arXiv 2109.09617), beat by beat.

    A row of Y′ stands for a beat of Y and has a level each for its

    - key: the tonality of the whole piece, the same in all rows;
    - chord: see `regen_jax.modalities.music.chords`;
    - rhythm: where notes begin, see `regen_jax.modalities.music.rhythm`; that of the first voice,
      or of the others jointly where the first is there as the melody;
    - cadence: in beats in which a note of the first voice begins under a fermata, see
      `regen_jax.modalities.music.cadences`;
    - melody: the events of the first voice, a level a step, so that the template is a
      lead sheet.

    Y′ is a function of the notes alone. The lower voices may change places, and inner
    ones their octave. A last beat that Y ends in counts, silence being its rest.

    Attributes:
      y: a space of scores, see `regen_jax.modalities.music.events`.
      levels: which of LEVELS there are; they keep their order.
      melody: whether the melody is there; it needs lower voices to leave open.
      division: steps a beat in y.
    """

    input_space: Tokens
    levels: tuple[str, ...] = LEVELS
    melody: bool = False
    division: Annotated[int, Interval(ge=1, le=6)] = 2

    human_editable = True

    def __post_init__(self):
        ranges.check(self)
        if not events.is_space(self.input_space):
            raise ValueError(
                f"a music template is one of scores, not of {self.input_space}"
            )
        if unknown := [level for level in self.levels if level not in LEVELS]:
            raise ValueError(
                f"unknown level {unknown[0]!r}: choose from {', '.join(LEVELS)}"
            )
        levels = tuple(level for level in LEVELS if level in self.levels)
        object.__setattr__(self, "levels", levels)
        if self.input_space.length % self.division:
            raise ValueError(
                f"division {self.division} must divide the {self.input_space.length} steps of y"
            )
        if self.melody and self.input_space.depth == 1:
            raise ValueError(
                "melody needs lower voices to leave open, and y has one voice: choose "
                "melody=False"
            )
        if not self.levels and not self.melody:
            raise ValueError(f"levels must be one or more of {', '.join(LEVELS)}")

    @property
    def output_space(self) -> Tokens:
        """Rows of ids; every level has a range of its own, 0 is behind the end."""
        columns = self._columns
        ranges = columns[: len(self.levels) + self.melody]
        symbols = ["", *(symbol for column in ranges for symbol in column.symbols)]
        first_ids = tuple(self._first_ids.tolist())
        return Tokens(
            self.input_space.length // self.division,
            len(symbols),
            depth=len(columns),
            padded=True,
            symbols=tuple(symbols),
            constraints=TemplateRules(self.levels, first_ids, len(symbols)),
        )

    def extract(self, y: np.ndarray, notes: Example) -> np.ndarray:
        """Ids int32 [*y_prime.shape] of a score int [*y.shape]; all 0 of an empty one."""
        return self._in_key(y, self._key(y))

    def _key(self, y: np.ndarray) -> int:
        """The key that a score is heard in, an index in KEYS."""
        return estimate(durations(events.sounding(self._whole_beats(y))))

    def _in_key(self, y: np.ndarray, key: int) -> np.ndarray:
        """The template of a score that is in a key."""
        ids = self._whole_beats(y)
        pitches, begins = events.sounding(ids), events.begins(ids)
        chord = recognize(weights(pitches, self.division), key)
        fermata = events.fermatas(ids[:, 0]).reshape(-1, self.division).any(axis=1)
        moving = slice(1, None) if self.melody else slice(0, 1)
        found = {
            "key": np.full(len(chord), key),
            "chord": chord,
            "rhythm": rhythms(pitches[:, moving], begins[:, moving], self.division),
            "cadence": cadences(chord, fermata, key),
        }
        levels = [found[level] for level in self.levels]
        if self.melody:
            levels += list(ids[:, 0].reshape(-1, self.division).T - events.REST)
        rows = np.stack(levels, axis=1) + self._first_ids
        result = np.zeros((self.output_space.length, len(levels)), np.int32)
        result[: len(rows)] = rows
        return result.reshape(self.output_space.shape)

    def to_text(self, y_prime: np.ndarray) -> str:
        """One template as text: a header, then a line a beat, in columns.

        `?7` stands for the id 7 where it is none of its level, as a prior may give.
        """
        columns, rows = self._columns, self._rows(y_prime)
        symbols = [
            [
                column.symbols[i - first]
                if 0 <= i - first < len(column.symbols)
                else f"?{i}"
                for column, first, i in zip(columns, self._first_ids, row, strict=True)
            ]
            for row in rows[: int(_length(rows))].tolist()
        ]
        return beat_table.write(columns, symbols)

    def from_text(self, text: str) -> np.ndarray:
        """The template that a text says: int32 [*y_prime.shape].

        Raises:
          UserError: a line does not fit; see `regen_jax.modalities.music.beat_table`.
        """
        space = self.output_space
        foreign = list(dict.fromkeys(re.findall(r"(?<!\S)\?(\d+)(?!\S)", text)))
        if beyond := [i for i in foreign if int(i) >= space.vocab]:
            raise UserError(
                f"there is no id ?{beyond[0]}: the last is ?{space.vocab - 1}"
            )
        columns = [
            dataclasses.replace(c, symbols=(*c.symbols, *(f"?{i}" for i in foreign)))
            for c in self._columns
        ]
        index = np.array(beat_table.read(columns, text, space.length))
        sizes = np.array([len(column.symbols) for column in self._columns])
        ids = np.array([0, *map(int, foreign)])
        result = np.zeros((space.length, len(columns)), np.int32)
        result[: len(index)] = np.where(
            index < sizes,
            index + self._first_ids,
            ids[np.clip(index - sizes + 1, 0, None)],
        )
        return result.reshape(space.shape)

    def code_metrics(self, y_prime: np.ndarray, other: np.ndarray) -> dict[str, float]:
        """Shares of the beats of y′ [N, …] in which each level is that of the other.

        Beats that only one of the two has are different. Of cadences, beats count where
        either has one (1 where none has); of the melody, steps.
        """
        a, b = _ended(self._rows(y_prime)), _ended(self._rows(other))
        live = (a[..., 0] != 0) | (b[..., 0] != 0)
        shares = {}
        for i, level in enumerate(self.levels):
            counts = live
            if level == "cadence":
                none = (0, self._first_ids[i])
                counts = live & ~(np.isin(a[..., i], none) & np.isin(b[..., i], none))
            shares[level] = _share((a == b)[..., i][counts])
        if self.melody:
            shares["melody"] = _share((a == b)[..., len(self.levels) :][live])
        return shares

    def consistency_metrics(
        self, y: np.ndarray, y_prime: np.ndarray
    ) -> dict[str, float]:
        """How far scores y [N, …] have the templates y′ [N, …] they were made from.

        The shares of `distance`, of y analysed again: the key as it is heard alone, all
        else in the key that y′ begins with, where it does. And of what sounds,
        `in_chord`, the share that belongs to the chord that y′ says.
        """
        heard = [self._key(score) for score in y]
        keys = heard
        if "key" in self.levels:
            level = self.levels.index("key")
            first = self._first_ids[level]
            asked = self._rows(y_prime)[:, 0, level] - first
            keys = np.where((asked >= 0) & (asked < len(KEYS)), asked, heard)
        again = np.stack(list(map(self._in_key, y, keys)))
        shares = self.code_metrics(again, y_prime)
        if "key" in self.levels:
            rows = self._rows(again)
            live = rows[..., level] > 0
            rows[..., level] = np.where(live, first + np.array(heard)[:, None], 0)
            shares["key"] = self.code_metrics(rows.reshape(again.shape), y_prime)["key"]
        if "chord" in self.levels:
            beats = [
                events.sounding(self._whole_beats(score)).reshape(
                    -1, self.division * self.input_space.depth
                )
                for score in y
            ]
            chord_tones = [
                one[: len(score)]
                for one, score in zip(self.chord_tones(y_prime), beats, strict=True)
            ]
            shares["in_chord"] = in_chord_fraction(
                np.concatenate(beats), np.concatenate(chord_tones)
            )
        return shares

    def chord_tones(self, y_prime: np.ndarray) -> np.ndarray:
        """bool [..., beats, 12]: pitch classes of the chords of y′ [..., *shape].

        None behind the end and where silence, or no chord at all, stands.
        """
        rows = _ended(self._rows(y_prime))
        chord = (rows - self._first_ids)[..., self.levels.index("chord")]
        known = (chord >= 0) & (chord < len(CHORDS))
        return tones(np.where(known, chord, len(CHORDS) - 1))

    @functools.cached_property
    def _columns(self) -> tuple[Column, ...]:
        rhythm = patterns(self.division)
        step = "x (a note begins), - (it goes on) or r (silence, no - behind it)"
        columns = {
            "key": Column("key", KEYS, " ".join(KEYS)),
            "chord": Column(
                "chord", CHORDS, "C C# D … A# B and nothing, m, o or 7 behind it, or N"
            ),
            "rhythm": Column("rhythm", rhythm, f"{self.division} of {step}"),
            "cadence": Column("cadence", CADENCES, " ".join(CADENCES)),
        }
        melody = [
            Column(
                f"melody{step}",
                events.SYMBOLS[1:],
                "r C2 C#2 D2 … B5 C6, and behind a note ^ for a fermata or - where "
                "it goes on",
            )
            for step in range(1, 1 + self.division * self.melody)
        ]
        return (*(columns[level] for level in self.levels), *melody)

    @functools.cached_property
    def _first_ids(self) -> np.ndarray:
        """The first id of each level; those of the melody share a range."""
        columns = self._columns
        sizes = [len(column.symbols) for column in columns[: len(self.levels)]]
        firsts = np.cumsum([1, *sizes])
        return firsts[np.minimum(np.arange(len(columns)), len(sizes))]

    def _rows(self, y_prime: np.ndarray) -> np.ndarray:
        """Ids [..., beats, levels], the last axis there even where it is one level."""
        return np.asarray(y_prime).reshape(
            *np.shape(y_prime)[: -len(self.output_space.shape)], -1, len(self._columns)
        )

    def _whole_beats(self, y: np.ndarray) -> np.ndarray:
        """Ids [T, voices] to the end of the last beat, where silence fills it up."""
        ids = np.asarray(y).reshape(len(y), -1)
        length = int(_length(ids))
        ids = ids[: -(-length // self.division) * self.division].copy()
        ids[length:] = events.REST
        return ids


def _length(rows: np.ndarray) -> np.ndarray:
    """int [...]: rows [..., T, n] before the first that begins with 0."""
    return np.cumprod(rows[..., 0] != 0, axis=-1).sum(axis=-1)


def _ended(rows: np.ndarray) -> np.ndarray:
    """Rows [..., T, n] with 0 in all that is behind their end."""
    before = np.cumprod(rows[..., 0] != 0, axis=-1)
    return rows * before[..., None]


def _share(hits: np.ndarray) -> float:
    return float(hits.mean()) if hits.size else 1.0
