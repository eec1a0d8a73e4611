"""How phrases end: the cadence of each beat in which a fermata begins."""

import numpy as np

from regen_jax.music import chords

CADENCES = (".", "authentic", "half", "other")
"""None; into the tonic from its dominant; on the dominant; any other end of a phrase."""
NONE, AUTHENTIC, HALF, OTHER = range(len(CADENCES))


def cadences(chord: np.ndarray, fermata: np.ndarray, key: int) -> np.ndarray:
    """Indices in CADENCES: int64 [beats].

    Authentic is a major or minor chord of the tonic where the last other chord was its
    dominant (major, or with a seventh) or the diminished one on its leading note. Half
    is such a dominant. The key is that of the whole piece, so that cadences in other
    keys are `other`.

    Arguments:
      chord: int [beats], indices in `chords.CHORDS`.
      fermata: bool [beats], where a phrase ends.
      key: index in `keys.KEYS`.
    """
    chord = np.asarray(chord)
    tonic = _among(chord, key, "", "m")
    dominant = _among(chord, key + 7, "", "7")
    leads = dominant | _among(chord, key + 11, "o")
    before = _last_other(chord)
    authentic = tonic & (before >= 0) & leads[before]
    found = np.select([authentic, dominant], [AUTHENTIC, HALF], OTHER)
    return np.where(fermata, found, NONE)


def _among(chord: np.ndarray, root: int, *qualities: str) -> np.ndarray:
    names = tuple(chords.QUALITIES)
    first = len(names) * (root % 12)
    return np.isin(chord, [first + names.index(quality) for quality in qualities])


def _last_other(chord: np.ndarray) -> np.ndarray:
    """The beat of the last other chord before each that sounds; -1 where none is."""
    sounding = np.flatnonzero(chord != chords.NONE)
    changes = np.diff(chord[sounding], prepend=chord[sounding][:1]) != 0
    starts = np.maximum.accumulate(np.where(changes, np.arange(len(sounding)), 0))
    found = np.full(len(chord), -1)
    found[sounding] = np.where(starts > 0, sounding[starts - 1], -1)
    return found
