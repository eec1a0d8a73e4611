"""A soprano with its phrase ends → four voices."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from regen_jax.data.readers.in_memory import InMemoryExamples
from regen_jax.data.readers.scores import score_of
from regen_jax.errors import UserError
from regen_jax.interfaces import Example
from regen_jax.interfaces.task import Generated, PromptKind
from regen_jax.modalities.music import bars, events, midi
from regen_jax.modalities.music.score import Score, from_events
from regen_jax.modalities.music.voice_leading import VoiceLeadingConstraints
from regen_jax.spaces import Tokens
from regen_jax.tasks.scored import ScoreTask

VOICES = 4
_BAR = 4
"""The most quarter notes of a bar whose steps have symbols of their own."""
_SHORTEST = 16
"""The shortest note value that is a beat."""


@dataclasses.dataclass(frozen=True)
class Harmony(ScoreTask):
    """X is a soprano and Y that soprano with alto, tenor and bass below it.

    X has two levels: the soprano's events, with fermatas at phrase ends, and the step of
    its bar, from `|1` on. The first step, which begins a bar, has
    the meter there, such as `6/8`.
    """

    prompt_kinds: ClassVar = {
        "midi": PromptKind("a file of notes to generate from", is_file=True)
    }

    @property
    def x(self) -> Tokens:
        symbols = (*events.SYMBOLS, *self._bar_symbols)
        return Tokens(self.steps, len(symbols), 2, padded=True, symbols=symbols)

    @property
    def y(self) -> Tokens:
        space = events.space(self.steps, VOICES)
        return dataclasses.replace(space, constraints=VoiceLeadingConstraints())

    def examples(self, split: str) -> Sequence[Example]:
        return _pieces(self, split)

    def parse_prompt(self, kind: str, value: str) -> Example:
        if kind != "midi":
            raise UserError(f"harmony reads --midi=FILE, not --{kind}")
        score = midi.read(Path(value).expanduser(), self.division, voices=1)
        try:
            return {"x": self.soprano(score)}
        except UserError as error:
            raise UserError(f"--midi={value}: {error}") from error

    def soprano(self, score: Score) -> np.ndarray:
        """Encodes X of a score on the task's grid: its first voice and its bars.

        Raises:
          UserError: the score is too long, or there is no symbol for its meter.
        """
        beats, unit = score.meter
        bars.check(score.meter, self.division, "the score")
        if bars.quarters(score.meter) > _BAR:
            raise UserError(
                f"a bar of {beats}/{unit} is longer than {_BAR} quarter notes: rewrite "
                "it in shorter bars"
            )
        if score.meter not in _meters(self.division):
            raise UserError(
                f"the meter {beats}/{unit} is unknown: beats of 1/1 to 1/{_SHORTEST} are "
                "known: rewrite it in longer note values"
            )
        first = dataclasses.replace(score, voices=score.voices[:1])
        ids = self.encoded(first, events.space(self.steps))
        steps = np.arange(self.steps) % bars.steps(score.meter, self.division)
        steps += len(events.SYMBOLS)
        steps[0] = self.x.symbols.index(f"{beats}/{unit}")
        return np.stack([ids, np.where(ids != events.PADDING, steps, 0)], axis=1)

    def score(self, prompts: Example, index: int, ids: np.ndarray) -> Score:
        if "x" not in prompts:
            return from_events(ids, self.division)
        symbol = self.x.symbols[int(np.asarray(prompts["x"])[index, 0, 1])]
        beats, _, unit = symbol.partition("/")
        return from_events(ids, self.division, (int(beats), int(unit)))

    @property
    def _bar_symbols(self) -> tuple[str, ...]:
        steps = tuple(f"|{step + 1}" for step in range(_BAR * self.division))
        return steps + tuple(f"{b}/{unit}" for b, unit in _meters(self.division))

    def fits(self, score: Score) -> bool:
        return super().fits(score) and score.meter in _meters(self.division)

    def is_pair(self, score: Score) -> bool:
        return bars.quarters(score.meter) <= _BAR

    def source_metrics(self, generated: Generated) -> dict[str, float]:
        """Computes `soprano_kept`, the fraction of the steps of X that Y keeps."""
        prompts, y, too_long = generated
        soprano = np.asarray(prompts["x"])[..., 0]
        is_kept = (y[..., 0] == soprano)[soprano != events.PADDING]
        missed = [score_of(record).coarsen(self.division) for record in too_long]
        steps = is_kept.size + sum(score.voices[0][-1].end for score in missed)
        return {"soprano_kept": float(is_kept.sum() / steps)}


@functools.lru_cache(maxsize=8)
def _meters(division: int) -> tuple[bars.Meter, ...]:
    """Lists the meters whose bars are whole steps, and at most _BAR quarter notes."""
    units = [2**power for power in range(_SHORTEST.bit_length())]
    every = [(beats + 1, unit) for unit in units for beats in range(_BAR * unit // 4)]
    return tuple(meter for meter in every if bars.steps(meter, division))


@functools.lru_cache(maxsize=8)
def _pieces(task: Harmony, split: str) -> InMemoryExamples:
    examples = [
        {"x": task.soprano(score), "y": task.encoded(score, task.y)}
        for _, score in task.pieces(split)
        if task.fits(score)
    ]
    return task.listed(split, examples)
