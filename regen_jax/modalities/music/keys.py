"""Key estimation from durations of pitch classes by Krumhansl-Schmuckler."""

import numpy as np

from regen_jax.modalities.music.events import PITCH_CLASSES

KEYS = (*PITCH_CLASSES, *(tonic.lower() for tonic in PITCH_CLASSES))
"""All keys, named by sharps: major, then minor in lower case."""

# Key profiles in hundredths, so that sums are exact: Krumhansl and Kessler, "Tracing
# the dynamic changes in perceived tonal organization" (1982).
_MAJOR = (635, 223, 348, 233, 438, 409, 252, 519, 239, 366, 229, 288)
_MINOR = (633, 268, 352, 538, 260, 353, 254, 475, 398, 269, 334, 317)
_PROFILES = np.array(
    [np.roll(profile, tonic) for profile in (_MAJOR, _MINOR) for tonic in range(12)]
)


def pitch_class_durations(pitches: np.ndarray) -> np.ndarray:
    """Counts the steps at which each pitch class sounds, over all voices.

    Args:
      pitches: int[...], sounding MIDI pitches per step and voice, 0 is silence.

    Returns:
      i64[12].
    """
    pitches = np.asarray(pitches)
    return np.bincount(pitches[pitches > 0] % 12, minlength=12)


def key_correlations(weights: np.ndarray) -> np.ndarray:
    """Computes Pearson correlations of pitch class weights with all key profiles.

    Krumhansl, "Cognitive foundations of musical pitch" (1990), chapter 4. Transposed
    integer weights give exactly the transposed correlations.

    Args:
      weights: [12].

    Returns:
      f64[24] in the order of `KEYS`, 0 if all weights are equal.
    """
    weights = np.asarray(weights)
    covariances = 12 * _PROFILES @ weights - _PROFILES.sum(axis=1) * weights.sum()
    variances = _variance(_PROFILES) * _variance(weights)
    return np.divide(
        covariances, np.sqrt(variances), out=np.zeros(24), where=variances > 0
    )


def estimate_key(weights: np.ndarray) -> int:
    """Returns the index in `KEYS` of the best correlated key of weights [12].

    It is the first among equals, so that a piece without notes is in C.
    """
    return int(np.argmax(key_correlations(weights)))


def _variance(weights: np.ndarray) -> np.ndarray:
    """Computes 144 times the variance of [..., 12], an integer for integer weights."""
    return 12 * np.sum(weights**2, axis=-1) - np.sum(weights, axis=-1) ** 2
