"""What tasks share whose Y is a score."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regen_jax.data.host_features import Origin
from regen_jax.data.readers import raw_records
from regen_jax.data.readers.in_memory import InMemoryExamples
from regen_jax.data.readers.scores import (
    load_scores,
    score_of,
    transpositions,
    voice_ranges,
)
from regen_jax.data.tfds import prepared
from regen_jax.data.tfds.splits import SetOptions
from regen_jax.errors import UserError
from regen_jax.interfaces import CoreList, Example, RunVariables, Task
from regen_jax.interfaces.task import Generated, SampleMetrics
from regen_jax.media.media import Media
from regen_jax.media.piano_roll import render_piano_roll
from regen_jax.media.synthesis import synthesize
from regen_jax.metrics import music
from regen_jax.modalities.music import events, keys, midi, musicxml
from regen_jax.modalities.music.bars import Division
from regen_jax.modalities.music.score import Score, from_events, scale, to_events
from regen_jax.ranges import Count, Natural
from regen_jax.spaces import Tokens

CORE_BEATS = 64
"""Quarter notes of the longest pieces of a core list."""
_SAMPLE_RATE = 16_000


@dataclasses.dataclass(frozen=True)
class ScoreTask(SetOptions, Task):
    """Y is a score on a grid; see `regen_jax.modalities.music.events`.

    Attributes:
      name: a prepared set of scores.
      division: steps per quarter note. What is shorter is lost.
      max_beats: the most quarter notes of a piece; longer ones are left out. Less than
        CORE_BEATS leaves out pieces that metrics count as failures.
      transpose: in training each piece is there in all keys at most that many semitones
        away that voices can sing.
    """

    num_rendered = 3

    name: str = "chorales"
    division: Division = 2
    max_beats: Count = 64
    transpose: Natural = 5

    @property
    def steps(self) -> int:
        """The number of steps of the longest score."""
        return self.division * self.max_beats

    def score(self, prompts: Example, index: int, ids: np.ndarray) -> Score:
        """Ids of a prompt's Y as a score, with all that its X says of it."""
        return from_events(ids, self.division)

    def likelihood_unit(self, y: np.ndarray) -> tuple[str, np.ndarray]:
        """Returns the number of notes, in all voices."""
        return "note", events.onset_mask(y, axis=1).reshape(len(y), -1).sum(axis=1)

    def fits(self, score: Score) -> bool:
        """Returns whether a score fits the options, such as `max_beats`."""
        return score.length <= score.division * self.max_beats

    def is_pair(self, score: Score) -> bool:
        """Returns whether a score of the data set has an X, whatever the options."""
        return True

    def core_list(self, split: str) -> CoreList:
        """Returns the pairs of at most CORE_BEATS quarter notes."""
        source = self.name, self.splits.stored(split), self.dir
        scores = [piece.score for piece in load_scores(*source)]
        pairs = [index for index, score in enumerate(scores) if self.is_pair(score)]
        held = [index for index, score in enumerate(scores) if self.fits(score)]
        core = {i for i in pairs if scores[i].length <= scores[i].division * CORE_BEATS}
        rows = [row for row, index in enumerate(held) if index in core]
        missing = core.difference(held)
        stored = raw_records.load(*source) if missing else ()
        too_long = [record for i, record in enumerate(stored) if i in missing]
        return CoreList(np.array(rows, int), tuple(too_long), held == pairs)

    def sample_metrics(self, variables: RunVariables) -> SampleMetrics:
        """Compares scores with real pieces.

        `in_key`: fraction of the notes in the piece's key, that of X or, where X has
        none, that of the true Y. `pitch_class_distance`, `interval_distance`: total
        variation to the true Y of the prompts. `rhythm_agreement`: with the true Y. Of
        several voices `parallel_fifths`, `parallel_octaves` and `crossings` per 100
        quarter notes, and `faults`, their sum.

        For scores without a note only the rhythm is reported.
        """

        def metrics(generated: Generated) -> dict[str, float]:
            prompts, y, too_long = generated
            values = {}
            if events.onset_mask(y, axis=1).any():
                values = {"in_key": self._in_key(prompts, y)}
                if "y" in prompts:
                    values |= _distances(y, np.asarray(prompts["y"]))
            if "y" in prompts:
                values["rhythm_agreement"] = self._rhythm_agreement(
                    y, np.asarray(prompts["y"]), too_long
                )
            if "x" in prompts:
                values |= self.source_metrics(generated)
            return values | (self._faults(y) if y.ndim == 3 else {})

        return metrics

    def source_metrics(self, generated: Generated) -> dict[str, float]:
        """Returns metrics of how samples follow their X."""
        return {}

    def render_samples(self, prompts: Example, y: np.ndarray) -> Media:
        """Renders a piano roll, a sound and files of each score that is not empty."""
        media = Media()
        for index, ids in enumerate(y):
            score = self.score(prompts, index, ids)
            name = f"sample_{index}"
            if not score.length:
                continue
            media.images[name] = render_piano_roll(score, self._true(prompts, index))
            media.audio[name] = (synthesize(score, _SAMPLE_RATE), _SAMPLE_RATE)
            media.files |= {
                f"{name}.mid": lambda path, score=score: midi.write(path, score),
                f"{name}.musicxml": lambda path, score=score: musicxml.write(
                    path, score
                ),
            }
        return media

    def render_reconstructions(self, y: np.ndarray, other: np.ndarray) -> Media:
        """Renders the reconstruction of the first score, with the true notes as frames."""
        scores = [from_events(ids[0], self.division) for ids in (other, y)]
        return Media(
            {"reconstructions": render_piano_roll(*scores)} if scores[0].length else {}
        )

    def reconstruction_metrics(
        self, y: np.ndarray, other: np.ndarray
    ) -> dict[str, float]:
        """Computes `same_events`, the fraction of steps of all voices that are equal."""
        counts = np.asarray(y) != events.PADDING
        return {"same_events": float((y == other)[counts].mean())}

    def pieces(
        self, split: str, name: str = "", whole: bool = False
    ) -> Iterator[tuple[str, Score]]:
        """Yields titles and scores of a split that fit, in all keys for training.

        With `whole`, those alone of which the grid of steps loses no note.
        """
        train = self.splits.stored("train")
        default = train if split == "targets" else ""
        stored = split if name else self.splits.stored(split, default)
        pieces = load_scores(name or self.name, stored, self.dir)
        pitch_ranges = voice_ranges(pieces)
        for title, score in pieces:
            if score.length > score.division * self.max_beats:
                continue
            if whole and _notes(score.coarsen(self.division)) < _notes(score):
                continue
            keys = [score]
            if split in ("train", "targets"):
                keys = transpositions(score, self.transpose, pitch_ranges) or keys
            for score in keys:
                yield title, score.coarsen(self.division)

    def listed(
        self, split: str, examples: Sequence[dict[str, Any]]
    ) -> InMemoryExamples:
        """Wraps the examples of a split, so that features made on the host are cached."""
        builder = prepared.require(self.name, self.splits.stored("train"), self.dir)
        return InMemoryExamples(
            examples, Origin(Path(builder.data_dir), f"{self} {split}")
        )

    def encoded(self, score: Score, space: Tokens) -> np.ndarray:
        """Ids of a score; `UserError` where it does not fit."""
        beats = score.length / score.division
        if beats > self.max_beats:
            raise UserError(
                f"the score lasts {beats:g} quarter notes: at most {self.max_beats} fit"
            )
        return to_events(score, space.length)

    def _true(self, prompts: Example, index: int) -> Score | None:
        if "y" not in prompts:
            return None
        return self.score(prompts, index, np.asarray(prompts["y"])[index])

    def _keys(self, prompts: Example, y: np.ndarray) -> list[str]:
        """Returns the key that each piece should be in."""
        shown = prompts.get("y", y)
        return [
            keys.KEYS[
                keys.estimate_key(
                    keys.pitch_class_durations(events.sounding_pitches(ids))
                )
            ]
            for ids in np.asarray(shown)
        ]

    def _in_key(self, prompts: Example, y: np.ndarray) -> float:
        notes = [events.onset_pitches(ids) for ids in y]
        fractions = [
            music.in_key_fraction(onsets, scale(key))
            for onsets, key in zip(notes, self._keys(prompts, y), strict=True)
        ]
        return float(np.average(fractions, weights=[(n > 0).sum() for n in notes]))

    def _rhythm_agreement(
        self, y: np.ndarray, true: np.ndarray, too_long: Sequence[Example]
    ) -> float:
        missed = sum(
            _notes(score_of(record).coarsen(self.division), self.y.depth)
            for record in too_long
        )
        begins = [events.onset_mask(ids, axis=1).ravel() for ids in (y, true)]
        nothing, every = np.zeros(missed, bool), np.ones(missed, bool)
        return music.onset_f1(
            np.concatenate([begins[0], nothing]), np.concatenate([begins[1], every])
        )

    def _faults(self, y: np.ndarray) -> dict[str, float]:
        counts = [
            music.voice_leading_violations(
                events.sounding_pitches(ids), events.onset_mask(ids)
            )
            for ids in y
        ]
        quarters = (np.asarray(y)[..., 0] != events.PADDING).sum() / self.division
        if not quarters:
            return {}
        per_100 = 100 / float(quarters)
        values = {
            name: per_100 * sum(count[name] for count in counts) for name in counts[0]
        }
        return values | {"faults": sum(values.values())}


def _notes(score: Score, voices: int | None = None) -> int:
    return sum(map(len, score.voices[:voices]))


def _distances(y: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Returns distances between the note histograms of two sets of scores.

    Without an interval in either set, `interval_distance` is left out.
    """
    histograms = {
        "pitch_class_distance": music.pitch_class_histogram,
        "interval_distance": music.interval_histogram,
    }
    values = {}
    for name, histogram in histograms.items():
        counts, other = (
            sum(histogram(events.onset_pitches(ids)) for ids in scores)
            for scores in (y, true)
        )
        if counts.any() and other.any():
            values[name] = music.histogram_distance(counts, other)
    return values
