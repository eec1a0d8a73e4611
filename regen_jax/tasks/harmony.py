"""A soprano with its phrase ends → four voices."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from regen_jax.data.listed import Listed
from regen_jax.errors import UserError
from regen_jax.interfaces import Example, Judging, Variables
from regen_jax.music import events, midi
from regen_jax.music.score import Score, from_events
from regen_jax.music.voice_leading import VoiceLeading
from regen_jax.spaces import Tokens
from regen_jax.tasks.scored import ScoreTask

VOICES = 4
_BAR = 4
"""The most quarter notes of a bar whose steps have symbols of their own."""


@dataclasses.dataclass(frozen=True)
class Harmony(ScoreTask):
    """X is a soprano and Y that soprano with alto, tenor and bass below it.

    X has two levels: the soprano's events, with fermatas at phrase ends, and the step of
    the bar that each stands in, from `|1` on.
    """

    @property
    def x(self) -> Tokens:
        steps = tuple(f"|{step + 1}" for step in range(_BAR * self.division))
        symbols = (*events.SYMBOLS, *steps)
        return Tokens(self.steps, len(symbols), 2, padded=True, symbols=symbols)

    @property
    def y(self) -> Tokens:
        space = events.space(self.steps, VOICES)
        return dataclasses.replace(space, rules=VoiceLeading())

    def examples(self, split: str) -> Sequence[Example]:
        return _pieces(self, split)

    def read(self, kind: str, value: str) -> Example:
        if kind != "midi":
            raise UserError(f"harmony reads --midi=FILE, not --{kind}")
        path = Path(value).expanduser()
        score = midi.read(path, 4, voices=1).coarser(self.division)
        try:
            return {"x": self.soprano(score)}
        except UserError as error:
            raise UserError(f"--midi={value}: {error}") from error

    def soprano(self, score: Score) -> np.ndarray:
        """X of a score: its first voice, and the steps of its bars."""
        beats, unit = score.metre
        bar = beats * 4 * self.division // unit
        if bar > _BAR * self.division:
            raise UserError(
                f"a bar of {beats}/{unit} is longer than {_BAR} quarter notes: rewrite "
                "it in shorter bars"
            )
        first = dataclasses.replace(score, voices=score.voices[:1])
        ids = self.encoded(first, events.space(self.steps))
        steps = len(events.SYMBOLS) + np.arange(self.steps) % bar
        return np.stack([ids, np.where(ids != events.PADDING, steps, 0)], axis=1)

    def score(self, prompts: Example, index: int, ids: np.ndarray) -> Score:
        if "x" not in prompts:
            return from_events(ids, self.division)
        bar = np.asarray(prompts["x"])[index, :, 1].max() - len(events.SYMBOLS) + 1
        beats = bar // self.division
        return from_events(ids, self.division, (int(beats), 4))

    def judging(self, variables: Mapping[str, Variables]) -> Judging:
        """As any score, and `soprano_kept`: share of the steps of X that Y has kept."""
        judged = super().judging(variables)

        def figures(prompts: Example, y: np.ndarray) -> dict[str, float]:
            found = judged(prompts, y)
            if "x" in prompts:
                soprano = np.asarray(prompts["x"])[..., 0]
                kept = (y[..., 0] == soprano)[soprano != events.PADDING]
                found["soprano_kept"] = float(kept.mean())
            return found

        return figures


@functools.lru_cache(maxsize=8)
def _pieces(task: Harmony, split: str) -> Listed:
    examples = [
        {"x": task.soprano(score), "y": task.encoded(score, task.y)}
        for _, score in task.pieces(split)
        if 4 * score.metre[0] <= _BAR * score.metre[1]
    ]
    return task.listed(split, examples)
