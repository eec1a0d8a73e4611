"""Joins recordings of single digits to strings of digits, at random."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from regen_jax.data.readers import raw_records
from regen_jax.data.tfds.splits import DEFAULT_SPLITS, SplitOptions
from regen_jax.modalities.text import characters
from regen_jax.spaces import Array, Padded, Tokens

FEATURES = ("mfcc", "label")
"""Features of a set whose recordings can be joined."""
WORDS = (
    *("zero", "one", "two", "three", "four"),
    *("five", "six", "seven", "eight", "nine"),
)
TRAIN_SIZE = 50_000
HELD_OUT_SIZE = 300
HELD_OUT_SEEDS = {"validation": 1, "test": 0}
MAX_DIGITS = 5
LENGTH = 160
"""Most frames of a string; like `MAX_DIGITS`, a limit of held-out strings everywhere.

Recordings have 18 frames on average and at most 92: one in 500 strings of 5 digits
needs more than 160.
"""


@dataclasses.dataclass(frozen=True)
class DigitStrings:
    """Random access to MFCC frames of consecutive digits, and their transcript.

    `self[i]` is `{'x': Padded(f32[length, C], i32), 'y': i32[y.length]}`: 1 to
    `max_digits` recordings, one after the other, chosen by the seed and i alone; ids of
    the characters of `three one four`. Both are padded with 0. Recordings are never
    cut: one that would exceed `length`, and those after it, are left out.

    Attributes:
      recordings: standardized MFCC f32[T, C] of each recording.
      labels: the digit of each.
      size: number of examples.
      seed: of the random choices.
      max_digits: most digits of a string.
      length: frames of an example, with padding.
      row_lists: rows of the recordings that each example joins; drawn at random if
        None.
      too_long: transcripts of held-out strings with more digits or frames than fit.
    """

    recordings: Sequence[np.ndarray] = dataclasses.field(repr=False)
    labels: Sequence[int] = dataclasses.field(repr=False)
    size: int
    seed: int = 0
    max_digits: int = MAX_DIGITS
    length: int = LENGTH
    row_lists: Sequence[list[int]] | None = dataclasses.field(default=None, repr=False)
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
        """The space of MFCC frames."""
        return Array((self.length, self.recordings[0].shape[-1]), padded=True)

    @functools.cached_property
    def y(self) -> Tokens:
        """The space of transcripts in characters."""
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
        return {"x": x, "y": characters.encode(self.y, self.transcript(rows))}

    def transcript(self, rows: Sequence[int]) -> str:
        """Returns the words of recordings, such as `three one four`."""
        return " ".join(WORDS[self.labels[row]] for row in rows)

    def rows(self, index: int) -> list[int]:
        """Returns the rows of the recordings that an example joins."""
        if not 0 <= index < self.size:
            raise IndexError(f"example {index} of {self.size}")
        if self.row_lists is not None:
            return self.row_lists[index]
        seed = np.random.SeedSequence([self.seed, index])
        # The remainders of 32 bits favor no recording by more than one in a million.
        number, *rows = seed.generate_state(1 + self.max_digits).tolist()
        rows = [
            row % len(self.recordings) for row in rows[: 1 + number % self.max_digits]
        ]
        ends = np.cumsum([len(self.recordings[row]) for row in rows])
        return rows[: np.searchsorted(ends, self.length, side="right")]


def open_digit_strings(
    name: str,
    split: str,
    data_dir: str = "",
    seed: int = 0,
    max_digits: int = MAX_DIGITS,
    length: int = LENGTH,
    train_size: int = TRAIN_SIZE,
    splits: SplitOptions = DEFAULT_SPLITS,
) -> DigitStrings:
    """Opens strings of recordings of a prepared set with `FEATURES`.

    Frames are standardized by the mean and deviation of the training frames.

    Args:
      name: of the set, such as `spoken_digits`.
      split: `train`, whose `train_size` examples depend on the seed, or `validation` or
        `test`: always the same 300 strings of 1 to 5 digits, joined from the recordings
        held out. Those that do not fit `max_digits` and `length` are left out.
      data_dir: the folder that holds the sets; TFDS's default if empty.
      seed: of the random choices in `train`.
      max_digits: most digits of a string.
      length: frames of an example, with padding.
      train_size: examples of an epoch.
      splits: the splits of the set that are read.

    Raises:
      UserError: the set is not prepared there, is damaged, or lacks the split or a
        feature.
    """
    records = {
        part: list(raw_records.load(name, splits.stored(part), data_dir, FEATURES))
        for part in dict.fromkeys(("train", split))
    }
    frames = np.concatenate([record["mfcc"] for record in records["train"]])
    mean, deviation = frames.mean(0, np.float64), frames.std(0, np.float64)
    recordings = [
        ((record["mfcc"] - mean) / deviation).astype(np.float32)
        for record in records[split]
    ]
    labels = [int(record["label"]) for record in records[split]]
    if split not in HELD_OUT_SEEDS:
        return DigitStrings(recordings, labels, train_size, seed, max_digits, length)
    strings = DigitStrings(recordings, labels, HELD_OUT_SIZE, HELD_OUT_SEEDS[split])
    row_lists, too_long = [], []
    for rows in map(strings.rows, range(HELD_OUT_SIZE)):
        num_frames = sum(len(recordings[row]) for row in rows)
        if len(rows) <= max_digits and num_frames <= length:
            row_lists.append(rows)
        else:
            too_long.append(strings.transcript(rows))
    return dataclasses.replace(
        strings,
        size=len(row_lists),
        max_digits=max_digits,
        length=length,
        row_lists=row_lists,
        too_long=tuple(too_long),
    )
