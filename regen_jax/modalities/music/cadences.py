"""Cadences: the ends of phrases, in beats where a fermata begins."""

import numpy as np

from regen_jax.modalities.music import chords

CADENCES = (".", "authentic", "half", "other")
"""None; from the dominant to the tonic; on the dominant; any other end of a phrase."""
NONE, AUTHENTIC, HALF, OTHER = range(len(CADENCES))


def classify_cadences(chord: np.ndarray, fermata: np.ndarray, key: int) -> np.ndarray:
    """Classifies the cadence of each beat.

    A cadence is authentic if its chord is the major or minor tonic and the previous
    different chord is the dominant (major, or with a seventh) or the diminished chord on
    the leading note, and half if its chord is such a dominant. The key is that of the
    whole piece: cadences in other keys are `other`.

    Args:
      chord: int[beats], indices in `chords.CHORDS`.
      fermata: bool[beats], ends of phrases.
      key: index in `keys.KEYS`.

    Returns:
      i64[beats], indices in `CADENCES`.
    """
    tonic, dominant, leading = harmonic_functions(np.asarray(chord), key)
    previous = _previous_chord(chord)
    authentic = tonic & (previous >= 0) & leading[previous]
    cadences = np.select([authentic, dominant], [AUTHENTIC, HALF], OTHER)
    return np.where(fermata, cadences, NONE)


def harmonic_functions(
    chord: np.ndarray, key: np.ndarray | int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Determines the harmonic functions of chords in keys.

    Args:
      chord: int[...], indices in `chords.CHORDS`.
      key: int[...], indices in `keys.KEYS`; shapes are broadcast.

    Returns:
      bool[...] each: tonic, dominant, and leading to the tonic in an authentic cadence.
    """
    chord, key = np.asarray(chord), np.asarray(key)
    dominant = _has_root(chord, key + 7, "", "7")
    leading = dominant | _has_root(chord, key + 11, "o")
    return _has_root(chord, key, "", "m"), dominant, leading


def _has_root(chord: np.ndarray, root: np.ndarray, *qualities: str) -> np.ndarray:
    """Returns whether chords have a root and one of the qualities, bool[...]."""
    names = tuple(chords.QUALITIES)
    matches = np.isin(chord % len(names), [names.index(q) for q in qualities])
    return matches & (chord // len(names) == root % 12) & (chord != chords.NONE)


def _previous_chord(chord: np.ndarray) -> np.ndarray:
    """Returns the last beat of a different chord before each beat; -1 if none is."""
    sounding = np.flatnonzero(chord != chords.NONE)
    changes = np.diff(chord[sounding], prepend=chord[sounding][:1]) != 0
    starts = np.maximum.accumulate(np.where(changes, np.arange(len(sounding)), 0))
    previous = np.full(len(chord), -1)
    previous[sounding] = np.where(starts > 0, sounding[starts - 1], -1)
    return previous
