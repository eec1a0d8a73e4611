"""The key of a piece from how long each pitch class sounds (Krumhansl-Schmuckler)."""

import numpy as np

from regen_jax.modalities.music.events import PITCH_CLASSES

KEYS = (*PITCH_CLASSES, *(tonic.lower() for tonic in PITCH_CLASSES))
"""All keys, named by sharps: major ones, then minor ones in lower case."""

# How well each degree fits a key, in hundredths so that sums are exact: Krumhansl and
# Kessler, "Tracing the dynamic changes in perceived tonal organization" (1982).
_MAJOR = (635, 223, 348, 233, 438, 409, 252, 519, 239, 366, 229, 288)
_MINOR = (633, 268, 352, 538, 260, 353, 254, 475, 398, 269, 334, 317)
_PROFILES = np.array(
    [np.roll(profile, tonic) for profile in (_MAJOR, _MINOR) for tonic in range(12)]
)


def durations(pitches: np.ndarray) -> np.ndarray:
    """int64[12]: how many steps each pitch class sounds, over all voices.

    Arguments:
      pitches: int [...], MIDI pitches that sound, a step and voice each; 0 is silence.
    """
    pitches = np.asarray(pitches)
    return np.bincount(pitches[pitches > 0] % 12, minlength=12)


def correlations(weights: np.ndarray) -> np.ndarray:
    """Pearson's correlation of weights [12] with the profile of each key: f64[24].

    0 where all pitch classes weigh the same. Krumhansl, "Cognitive foundations of
    musical pitch" (1990), chapter 4. Whole weights transposed give exactly the same
    values transposed.
    """
    weights = np.asarray(weights)
    covariances = 12 * _PROFILES @ weights - _PROFILES.sum(axis=1) * weights.sum()
    variances = _variance(_PROFILES) * _variance(weights)
    return np.divide(
        covariances, np.sqrt(variances), out=np.zeros(24), where=variances > 0
    )


def estimate(weights: np.ndarray) -> int:
    """Index in KEYS of the key whose profile weights [12] correlate with best.

    Among equals it is the first, so that a piece without notes is in C.
    """
    return int(np.argmax(correlations(weights)))


def _variance(weights: np.ndarray) -> np.ndarray:
    """144 times the variance over the last axis, whole where the weights are."""
    return 12 * np.sum(weights**2, axis=-1) - np.sum(weights, axis=-1) ** 2
