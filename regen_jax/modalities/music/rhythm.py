"""The rhythm of each beat: what happens at its steps, whatever the pitches are."""

import functools
import itertools

import numpy as np

_STATES = "x-r"


@functools.lru_cache(maxsize=8)
def patterns(division: int) -> tuple[str, ...]:
    """All rhythms of a beat of that many steps, a character a step.

    `x`: a note begins; `-`: notes that began before go on; `r`: silence, behind which
    nothing can go on.
    """
    every = map("".join, itertools.product(_STATES, repeat=division))
    return tuple(pattern for pattern in every if "r-" not in pattern)


def rhythms(pitches: np.ndarray, begins: np.ndarray, division: int) -> np.ndarray:
    """Indices in `patterns(division)`: int64 [T / division], of the voices jointly.

    Arguments:
      pitches: int [T, voices], MIDI pitches that sound, 0 in silence.
      begins: bool [T, voices], where a note begins.
      division: steps a beat.
    """
    states = np.where(begins.any(axis=1), 0, np.where(pitches.any(axis=1), 1, 2))
    digits = states.reshape(-1, division) @ 3 ** np.arange(division)[::-1]
    return _index(division)[digits]


@functools.lru_cache(maxsize=8)
def _index(division: int) -> np.ndarray:
    """From numbers to base 3 of states, the first step first, to indices in `patterns`."""
    digits = str.maketrans(_STATES, "012")
    numbers = [int(pattern.translate(digits), 3) for pattern in patterns(division)]
    index = np.zeros(3**division, np.int64)
    index[numbers] = np.arange(len(numbers))
    return index
