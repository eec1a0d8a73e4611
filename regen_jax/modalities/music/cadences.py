"""How phrases end: the cadence of each beat in which a fermata begins."""

import numpy as np

from regen_jax.modalities.music import chords

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
    tonic, dominant, leads = roles(np.asarray(chord), key)
    before = _last_other(chord)
    authentic = tonic & (before >= 0) & leads[before]
    found = np.select([authentic, dominant], [AUTHENTIC, HALF], OTHER)
    return np.where(fermata, found, NONE)


def roles(
    chord: np.ndarray, key: np.ndarray | int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What chords are in a key: bool arrays `tonic`, `dominant` and `leads`.

    The last says that an authentic cadence can come from there. Chords and keys are
    indices in `chords.CHORDS` and `keys.KEYS`, of shapes that broadcast.
    """
    chord, key = np.asarray(chord), np.asarray(key)
    dominant = _is(chord, key + 7, "", "7")
    return _is(chord, key, "", "m"), dominant, dominant | _is(chord, key + 11, "o")


def _is(chord: np.ndarray, root: np.ndarray, *qualities: str) -> np.ndarray:
    names = tuple(chords.QUALITIES)
    among = np.isin(chord % len(names), [names.index(quality) for quality in qualities])
    return among & (chord // len(names) == root % 12) & (chord != chords.NONE)


def _last_other(chord: np.ndarray) -> np.ndarray:
    """The beat of the last other chord before each that sounds; -1 where none is."""
    sounding = np.flatnonzero(chord != chords.NONE)
    changes = np.diff(chord[sounding], prepend=chord[sounding][:1]) != 0
    starts = np.maximum.accumulate(np.where(changes, np.arange(len(sounding)), 0))
    found = np.full(len(chord), -1)
    found[sounding] = np.where(starts > 0, sounding[starts - 1], -1)
    return found
