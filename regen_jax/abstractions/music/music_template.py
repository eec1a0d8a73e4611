"""Music templates: key, chords, rhythm and cadences of a score, one row per beat."""

import dataclasses
import functools
import re
from typing import Annotated, Literal, get_args

import numpy as np
from annotated_types import Interval

from regen_jax.errors import UserError
from regen_jax.interfaces import Example, HostFeature, Variables
from regen_jax.metrics.music import in_chord_fraction
from regen_jax.modalities.music import beat_table, events
from regen_jax.modalities.music.beat_table import Column
from regen_jax.modalities.music.cadences import CADENCES, classify_cadences
from regen_jax.modalities.music.chords import (
    CHORDS,
    beat_chroma,
    chord_tones,
    recognize_chords,
)
from regen_jax.modalities.music.keys import KEYS, estimate_key, pitch_class_durations
from regen_jax.modalities.music.rhythm import encode_rhythms, rhythm_patterns
from regen_jax.modalities.music.template_constraints import TemplateConstraints
from regen_jax.spaces import Tokens

Level = Literal["key", "chord", "rhythm", "cadence"]
LEVELS = get_args(Level)


@dataclasses.dataclass(frozen=True)
class MusicTemplate(HostFeature):
    """The template of TeleMelody (Ju et al., arXiv 2109.09617), beat by beat.

    A row of Y′ is a beat of Y. Its levels are

    - key: that of the whole piece, the same in all rows;
    - chord: see `regen_jax.modalities.music.chords`;
    - rhythm: onsets, see `regen_jax.modalities.music.rhythm`; of the first voice, or of
      the other voices together where `melody`;
    - cadence: in beats with an onset of the first voice under a fermata, see
      `regen_jax.modalities.music.cadences`;
    - melody: the events of the first voice, one level per step, which makes the template
      a lead sheet.

    Y′ depends on the notes alone. It does not change when lower voices are exchanged, or
    inner voices are moved by octaves. A last beat that is not complete is padded with
    rests.

    Attributes:
      input_space: scores, see `regen_jax.modalities.music.events`.
      levels: a subset of LEVELS; they keep the order of LEVELS.
      melody: whether to include the melody, for scores of two voices or more.
      division: steps per beat of Y.
    """

    input_space: Tokens
    levels: tuple[Level, ...] = LEVELS
    melody: bool = False
    division: Annotated[int, Interval(ge=1, le=6)] = 2

    human_editable = True

    def __post_init__(self):
        super().__post_init__()
        if not events.is_space(self.input_space):
            raise ValueError(
                f"a music template is one of scores, not of {self.input_space}"
            )
        levels = tuple(level for level in LEVELS if level in self.levels)
        object.__setattr__(self, "levels", levels)
        num_steps = self.input_space.length
        if num_steps % self.division:
            raise ValueError(
                f"division {self.division} must divide the {num_steps} steps of a score"
            )
        if self.melody and self.input_space.depth == 1:
            raise ValueError(
                "melody needs scores of two voices or more, and these have one: choose "
                "melody=False"
            )
        if not self.levels and not self.melody:
            raise ValueError(f"levels must be one or more of {', '.join(LEVELS)}")

    @property
    def output_space(self) -> Tokens:
        """Rows of ids, in disjoint ranges by level; all columns of the melody share one."""
        columns = self._columns
        distinct = columns[: len(self.levels) + self.melody]
        symbols = ["", *(symbol for column in distinct for symbol in column.symbols)]
        first_ids = tuple(self._first_ids.tolist())
        return Tokens(
            self.input_space.length // self.division,
            len(symbols),
            depth=len(columns),
            padded=True,
            symbols=tuple(symbols),
            constraints=TemplateConstraints(self.levels, first_ids, len(symbols)),
        )

    def extract(self, value: np.ndarray, metadata: Example) -> np.ndarray:
        """Returns ids i32[*output_space.shape] of a score int[*input_space.shape].

        They are all 0 for an empty score.
        """
        return self._extract_in_key(value, self._estimate_key(value))

    def _estimate_key(self, score: np.ndarray) -> int:
        """Returns the most likely key of a score, an index into KEYS."""
        return estimate_key(
            pitch_class_durations(events.sounding_pitches(self._whole_beats(score)))
        )

    def _extract_in_key(self, score: np.ndarray, key: int) -> np.ndarray:
        """Returns the template of a score that is in a key."""
        ids = self._whole_beats(score)
        pitches, begins = events.sounding_pitches(ids), events.onset_mask(ids)
        chord = recognize_chords(beat_chroma(pitches, self.division), key)
        fermata = events.fermata_mask(ids[:, 0]).reshape(-1, self.division).any(axis=1)
        voices = slice(1, None) if self.melody else slice(0, 1)
        by_level = {
            "key": np.full(len(chord), key),
            "chord": chord,
            "rhythm": encode_rhythms(
                pitches[:, voices], begins[:, voices], self.division
            ),
            "cadence": classify_cadences(chord, fermata, key),
        }
        levels = [by_level[level] for level in self.levels]
        if self.melody:
            levels += list(ids[:, 0].reshape(-1, self.division).T - events.REST)
        rows = np.stack(levels, axis=1) + self._first_ids
        template = np.zeros((self.output_space.length, len(levels)), np.int32)
        template[: len(rows)] = rows
        return template.reshape(self.output_space.shape)

    def to_text(self, y_prime: np.ndarray) -> str:
        """Returns a template as a table in text: a header, and one line per beat.

        `?7` is the id 7 in a level that it is no id of, as a prior may generate.
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
        return beat_table.format_table(columns, symbols)

    def from_text(self, text: str) -> np.ndarray:
        """Returns the template i32[*output_space.shape] of a text.

        Raises:
          UserError: a line is not valid; see `regen_jax.modalities.music.beat_table`.
        """
        space = self.output_space
        other_ids = list(dict.fromkeys(re.findall(r"(?<!\S)\?(\d+)(?!\S)", text)))
        if beyond := [i for i in other_ids if int(i) >= space.vocab]:
            raise UserError(
                f"there is no id ?{beyond[0]}: the last is ?{space.vocab - 1}"
            )
        columns = [
            dataclasses.replace(c, symbols=(*c.symbols, *(f"?{i}" for i in other_ids)))
            for c in self._columns
        ]
        index = np.array(beat_table.parse_table(columns, text, space.length))
        sizes = np.array([len(column.symbols) for column in self._columns])
        ids = np.array([0, *map(int, other_ids)])
        template = np.zeros((space.length, len(columns)), np.int32)
        template[: len(index)] = np.where(
            index < sizes,
            index + self._first_ids,
            ids[np.clip(index - sizes + 1, 0, None)],
        )
        return template.reshape(space.shape)

    def code_metrics(
        self, y_prime: np.ndarray, reference: np.ndarray
    ) -> dict[str, float]:
        """Returns the accuracy of each level of y′ [N, …] over beats.

        Beats that only one of the two has are wrong. Cadences are compared in beats where
        either has one, and have an accuracy of 1 where none has; melodies by steps.
        """
        generated = _mask_after_end(self._rows(y_prime))
        true = _mask_after_end(self._rows(reference))
        hits = generated == true
        valid = (generated[..., 0] != 0) | (true[..., 0] != 0)
        accuracies = {}
        for i, level in enumerate(self.levels):
            mask = valid
            if level == "cadence":
                none = (0, self._first_ids[i])
                both = np.isin(generated[..., i], none) & np.isin(true[..., i], none)
                mask = valid & ~both
            accuracies[level] = _mean(hits[..., i][mask])
        if self.melody:
            accuracies["melody"] = _mean(hits[..., len(self.levels) :][valid])
        return accuracies

    def consistency_metrics(
        self, variables: Variables, y: np.ndarray, y_prime: np.ndarray
    ) -> dict[str, float]:
        """Returns the accuracy of each level of the templates of scores y [N, …].

        The reference is y′ [N, …], which y was generated from. Keys are estimated from y;
        the other levels are extracted in the key of the first beat of y′, if it has one.
        `in_chord` is the fraction of sounding notes that belong to the chord of y′.
        """
        estimated = [self._estimate_key(score) for score in y]
        keys = estimated
        if "key" in self.levels:
            level = self.levels.index("key")
            first = self._first_ids[level]
            key_ids = self._rows(y_prime)[:, 0, level] - first
            keys = np.where((key_ids >= 0) & (key_ids < len(KEYS)), key_ids, estimated)
        templates = np.stack(list(map(self._extract_in_key, y, keys)))
        metrics = self.code_metrics(templates, y_prime)
        if "key" in self.levels:
            rows = self._rows(templates)
            valid = rows[..., level] > 0
            rows[..., level] = np.where(valid, first + np.array(estimated)[:, None], 0)
            in_estimated_key = rows.reshape(templates.shape)
            metrics["key"] = self.code_metrics(in_estimated_key, y_prime)["key"]
        if "chord" in self.levels:
            beats = [
                events.sounding_pitches(self._whole_beats(score)).reshape(
                    -1, self.division * self.input_space.depth
                )
                for score in y
            ]
            chord_tones = [
                chords[: len(score)]
                for chords, score in zip(self.chord_tones(y_prime), beats, strict=True)
            ]
            metrics["in_chord"] = in_chord_fraction(
                np.concatenate(beats), np.concatenate(chord_tones)
            )
        return metrics

    def chord_tones(self, y_prime: np.ndarray) -> np.ndarray:
        """Returns the pitch classes bool[..., beats, 12] of the chords of y′ [..., *shape].

        There are none after the end, in silence and for ids of other levels.
        """
        rows = _mask_after_end(self._rows(y_prime))
        chord = (rows - self._first_ids)[..., self.levels.index("chord")]
        valid = (chord >= 0) & (chord < len(CHORDS))
        return chord_tones(np.where(valid, chord, len(CHORDS) - 1))

    @functools.cached_property
    def _columns(self) -> tuple[Column, ...]:
        rhythm = rhythm_patterns(self.division)
        step = "x (a note begins), - (it goes on) or r (silence, no - after it)"
        columns = {
            "key": Column("key", KEYS, " ".join(KEYS)),
            "chord": Column(
                "chord", CHORDS, "C C# D … A# B and nothing, m, o or 7 after it, or N"
            ),
            "rhythm": Column("rhythm", rhythm, f"{self.division} of {step}"),
            "cadence": Column("cadence", CADENCES, " ".join(CADENCES)),
        }
        melody = [
            Column(
                f"melody{step}",
                events.SYMBOLS[1:],
                "r C2 C#2 D2 … B5 C6, and after a note ^ for a fermata or - where "
                "it goes on",
            )
            for step in range(1, 1 + self.division * self.melody)
        ]
        return (*(columns[level] for level in self.levels), *melody)

    @functools.cached_property
    def _first_ids(self) -> np.ndarray:
        """First id of each level; those of the melody share a range."""
        columns = self._columns
        sizes = [len(column.symbols) for column in columns[: len(self.levels)]]
        firsts = np.cumsum([1, *sizes])
        return firsts[np.minimum(np.arange(len(columns)), len(sizes))]

    def _rows(self, y_prime: np.ndarray) -> np.ndarray:
        """Returns ids [..., beats, levels], also of a single level."""
        return np.asarray(y_prime).reshape(
            *np.shape(y_prime)[: -len(self.output_space.shape)], -1, len(self._columns)
        )

    def _whole_beats(self, score: np.ndarray) -> np.ndarray:
        """Returns ids [T, voices] to the end of the last beat, padded with rests."""
        ids = np.asarray(score).reshape(len(score), -1)
        length = int(_length(ids))
        ids = ids[: -(-length // self.division) * self.division].copy()
        ids[length:] = events.REST
        return ids


def _length(rows: np.ndarray) -> np.ndarray:
    """Counts the rows of [..., T, n] before the first row of zeros, int[...]."""
    return np.cumprod(rows[..., 0] != 0, axis=-1).sum(axis=-1)


def _mask_after_end(rows: np.ndarray) -> np.ndarray:
    """Returns rows [..., T, n] with zeros after their end."""
    before = np.cumprod(rows[..., 0] != 0, axis=-1)
    return rows * before[..., None]


def _mean(hits: np.ndarray) -> float:
    return float(hits.mean()) if hits.size else 1.0
