"""Strings of digits: recordings of single digits joined at random."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from regen_jax.data.readers import raw_records
from regen_jax.modalities.text import characters
from regen_jax.spaces import Array, Padded, Tokens

WORDS = (
    *("zero", "one", "two", "three", "four"),
    *("five", "six", "seven", "eight", "nine"),
)
TRAIN_SIZE = 50_000
HELD_OUT_SIZE = 300
HELD_OUT_SEEDS = {"validation": 1, "test": 0}
MAX_DIGITS = 5
LENGTH = 160
"""Most digits and frames of a string; held-out strings keep to them whatever the options.

Recordings have 18 frames on average and at most 92: one in 500 strings of 5 digits needs
more than 160.
"""


@dataclasses.dataclass(frozen=True)
class JoinedDigits:
    """Random access to MFCC frames of some digits in a row, and what is said.

    `self[i]` is `{'x': Padded(f32[length, 13], int32), 'y': int32[y.length]}`: from 1 to
    `max_digits` recordings, one after the other, chosen by the seed and i alone; the
    frames in standard units, then 0; ids of the characters of `three one four`, then 0.
    Recordings are never cut: one that would not fit, and those after it, are left out.

    Attributes:
      recordings: MFCC f32[T, 13] of each recording, standardized.
      labels: the digit of each.
      size: how many examples there are.
      seed: what they depend on.
      max_digits: the most digits in a row.
      length: frames of an example.
      fixed: rows of the recordings that each example joins; drawn at random if None.
      too_long: the texts of held-out strings of more digits or frames than fit.
    """

    recordings: Sequence[np.ndarray] = dataclasses.field(repr=False)
    labels: Sequence[int] = dataclasses.field(repr=False)
    size: int
    seed: int = 0
    max_digits: int = MAX_DIGITS
    length: int = LENGTH
    fixed: Sequence[list[int]] | None = dataclasses.field(default=None, repr=False)
    too_long: tuple[str, ...] = dataclasses.field(default=(), repr=False)

    def __post_init__(self):
        longest = max(map(len, self.recordings))
        if self.length < longest:
            raise ValueError(
                f"length {self.length} is too short for a recording of {longest} frames"
            )
        if self.max_digits < 1:
            raise ValueError(f"max_digits {self.max_digits} must be at least 1")

    @functools.cached_property
    def x(self) -> Array:
        return Array((self.length, self.recordings[0].shape[-1]), padded=True)

    @functools.cached_property
    def y(self) -> Tokens:
        longest = max(map(len, WORDS))
        return characters.character_space(self.max_digits * (longest + 1) - 1)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> dict[str, Any]:
        rows = self.rows(index)
        frames = np.concatenate([self.recordings[row] for row in rows])
        values = np.zeros(self.x.shape, np.float32)
        values[: len(frames)] = frames
        x = Padded(values, np.int32(len(frames)))
        return {"x": x, "y": characters.encode(self.y, self.said(rows))}

    def said(self, rows: Sequence[int]) -> str:
        """The text of recordings in a row: `three one four`."""
        return " ".join(WORDS[self.labels[row]] for row in rows)

    def rows(self, index: int) -> list[int]:
        """Numbers of the recordings that an example joins."""
        if not 0 <= index < self.size:
            raise IndexError(f"example {index} of {self.size}")
        if self.fixed is not None:
            return self.fixed[index]
        seed = np.random.SeedSequence([self.seed, index])
        # The remainders of 32 bits favour no recording by more than one in a million.
        number, *rows = seed.generate_state(1 + self.max_digits).tolist()
        rows = [
            row % len(self.recordings) for row in rows[: 1 + number % self.max_digits]
        ]
        ends = np.cumsum([len(self.recordings[row]) for row in rows])
        return rows[: np.searchsorted(ends, self.length, side="right")]


def open_joined_digits(
    split: str,
    data_dir: str = "",
    seed: int = 0,
    max_digits: int = MAX_DIGITS,
    length: int = LENGTH,
    train_size: int = TRAIN_SIZE,
) -> JoinedDigits:
    """Joined recordings of the prepared set `spoken_digits`.

    Args:
      split: `train`, whose `train_size` examples depend on the seed, or `validation` or
        `test`: always the same 300 strings of 1 to 5 digits, joined from the recordings
        held out. Those that do not fit `max_digits` and `length` are left out.
      data_dir: the folder that holds the sets; TFDS's default if empty.
      seed: see `JoinedDigits`, as for the rest.
      max_digits: the most digits in a row.
      length: frames of an example.
      train_size: how many examples make an epoch.

    Raises:
      UserError: the set is not prepared there, is damaged, or has no such split.
    """
    spoken = {
        name: list(raw_records.load("spoken_digits", name, data_dir, ("mfcc", "label")))
        for name in dict.fromkeys(("train", split))
    }
    frames = np.concatenate([example["mfcc"] for example in spoken["train"]])
    mean, deviation = frames.mean(0, np.float64), frames.std(0, np.float64)
    recordings = [
        ((example["mfcc"] - mean) / deviation).astype(np.float32)
        for example in spoken[split]
    ]
    labels = [int(example["label"]) for example in spoken[split]]
    if split not in HELD_OUT_SEEDS:
        return JoinedDigits(recordings, labels, train_size, seed, max_digits, length)
    strings = JoinedDigits(recordings, labels, HELD_OUT_SIZE, HELD_OUT_SEEDS[split])
    fixed, too_long = [], []
    for rows in map(strings.rows, range(HELD_OUT_SIZE)):
        size = sum(len(recordings[row]) for row in rows)
        if len(rows) <= max_digits and size <= length:
            fixed.append(rows)
        else:
            too_long.append(strings.said(rows))
    return dataclasses.replace(
        strings,
        size=len(fixed),
        max_digits=max_digits,
        length=length,
        fixed=fixed,
        too_long=tuple(too_long),
    )
