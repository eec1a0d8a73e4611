"""The rhythm of each beat: onsets, continuations and silence without pitches."""

import functools
import itertools

import numpy as np

_STATES = "x-r"


@functools.lru_cache(maxsize=8)
def rhythm_patterns(division: int) -> tuple[str, ...]:
    """Returns all rhythms of a beat, one character per step.

    `x` is an onset, `-` a continuation and `r` silence, after which nothing can continue.

    Args:
      division: steps per beat.
    """
    candidates = map("".join, itertools.product(_STATES, repeat=division))
    return tuple(pattern for pattern in candidates if "r-" not in pattern)


def encode_rhythms(
    pitches: np.ndarray, onset_mask: np.ndarray, division: int
) -> np.ndarray:
    """Encodes the joint rhythm of all voices per beat.

    Args:
      pitches: int[T, voices], sounding MIDI pitches, 0 is silence.
      onset_mask: bool[T, voices].
      division: steps per beat.

    Returns:
      i64[T / division], indices in `rhythm_patterns(division)`.
    """
    states = np.where(onset_mask.any(axis=1), 0, np.where(pitches.any(axis=1), 1, 2))
    digits = states.reshape(-1, division) @ 3 ** np.arange(division)[::-1]
    return _index(division)[digits]


@functools.lru_cache(maxsize=8)
def _index(division: int) -> np.ndarray:
    """Returns the index of the pattern of each base-3 number, whose digits are states."""
    digits = str.maketrans(_STATES, "012")
    numbers = [
        int(pattern.translate(digits), 3) for pattern in rhythm_patterns(division)
    ]
    index = np.zeros(3**division, np.int64)
    index[numbers] = np.arange(len(numbers))
    return index
