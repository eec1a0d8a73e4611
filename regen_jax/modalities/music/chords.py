"""Chord recognition per beat by a hidden Markov model.

A chord emits the notes of its beat, and continues or changes to another, which is more
likely to be diatonic. The model is that of Sheh and Ellis, "Chord segmentation and
recognition using EM-trained hidden Markov models" (2003), with probabilities set by
hand.
"""

import numpy as np

from regen_jax.modalities.music.events import PITCH_CLASSES
from regen_jax.modalities.music.score import scale

QUALITIES = {"": (0, 4, 7), "m": (0, 3, 7), "o": (0, 3, 6), "7": (0, 4, 7, 10)}
"""Semitones from the root: major, minor, diminished, dominant seventh."""
CHORDS = (*(root + quality for root in PITCH_CLASSES for quality in QUALITIES), "N")
"""All chords, such as `C`, `Am`, `Bo` and `G7`; the last, `N`, is no chord."""
NONE = len(CHORDS) - 1

STAY = 0.1
"""Probability that a chord continues in the next beat instead of being redrawn."""
DEGREE_WEIGHTS = {0: 3.0, 7: 3.0, 5: 2.0}
"""Prior weights of diatonic chords on the tonic, dominant and subdominant, by semitones
from the tonic; those on other degrees have 1."""
NON_DIATONIC_WEIGHT = 0.3
"""Prior weight of a chord with a note outside the key."""
_TRIAD, _SEVENTH = (0.35, 0.32, 0.28), (0.32, 0.27, 0.18, 0.19)
"""Probabilities of the root, third, fifth and seventh among the notes of a beat."""


def beat_chroma(pitches: np.ndarray, division: int) -> np.ndarray:
    """Computes the duration of each pitch class in each beat.

    The lowest of several voices counts twice.

    Args:
      pitches: int[T, voices] or [T], sounding MIDI pitches, 0 is silence.
      division: steps per beat.

    Returns:
      f64[T / division, 12] in beats.
    """
    pitches = np.asarray(pitches)
    pitches = pitches[:, None] if pitches.ndim == 1 else pitches
    silent = pitches == 0
    count = (~silent).astype(np.float64)
    several = np.flatnonzero(count.sum(axis=1) > 1)
    lowest = np.argmin(np.where(silent, np.inf, pitches), axis=1)
    count[several, lowest[several]] = 2
    beats = len(pitches) // division
    bins = 12 * (np.arange(len(pitches)) // division)[:, None] + pitches % 12
    total = np.bincount(bins.ravel(), count.ravel(), minlength=12 * beats)
    return total.reshape(beats, 12) / division


def recognize_chords(chroma: np.ndarray, key: int) -> np.ndarray:
    """Finds the most likely sequence of chords by the Viterbi algorithm.

    Beats are transposed to C first, so that transposed beats have exactly the transposed
    chords, including ties.

    Args:
      chroma: f64[beats, 12], see `beat_chroma`.
      key: index in `keys.KEYS`.

    Returns:
      i64[beats], indices in `CHORDS`.
    """
    if not len(chroma):
        return np.zeros(0, np.int64)
    tonic = key % 12
    log_likelihood = np.roll(chroma, -tonic, axis=1) @ _LOG_PROBS.T
    is_silent = ~np.any(chroma, axis=1)
    log_likelihood[:, NONE] = np.where(is_silent, 0, -np.inf)
    log_likelihood[is_silent, :NONE] = -np.inf
    path = _viterbi(log_likelihood, _LOG_PRIORS[key // 12])
    return np.where(path == NONE, NONE, (path + len(QUALITIES) * tonic) % NONE)


def chord_tones(chords: np.ndarray) -> np.ndarray:
    """Maps chords int[...] to their pitch classes bool[..., 12]; `N` has none."""
    return _CHORD_TONES[chords]


def chord_roots(chords: np.ndarray) -> np.ndarray:
    """Maps chords int[...] to the pitch classes of their roots int[...]; 12 for `N`."""
    return np.asarray(chords) // len(QUALITIES)


def _viterbi(log_likelihood: np.ndarray, log_prior: np.ndarray) -> np.ndarray:
    """Finds the most likely path; a chord stays, or is redrawn from the prior.

    Args:
      log_likelihood: f64[beats, chords].
      log_prior: f64[chords].

    Returns:
      i64[beats].
    """
    stay, change = np.log(STAY), np.log1p(-STAY) + log_prior
    best = log_prior + log_likelihood[0]
    stays, leaders = np.empty(log_likelihood.shape, bool), [0]
    for beat in range(1, len(log_likelihood)):
        leaders.append(int(best.argmax()))
        changed = best[leaders[-1]] + change
        best += stay
        np.greater_equal(best, changed, out=stays[beat])
        np.maximum(best, changed, out=best)
        best += log_likelihood[beat]
    path = [int(best.argmax())]
    for beat in range(len(log_likelihood) - 1, 0, -1):
        path.append(path[-1] if stays[beat, path[-1]] else leaders[beat])
    return np.array(path[::-1])


def _tables() -> tuple[np.ndarray, np.ndarray]:
    """Returns tones and log-probabilities of pitch classes per chord, [chords, 12]."""
    tones = np.zeros((len(CHORDS), 12), bool)
    probabilities = np.zeros((len(CHORDS), 12))
    for chord in range(NONE):
        root, quality = divmod(chord, len(QUALITIES))
        degrees = tuple(QUALITIES.values())[quality]
        tone_probabilities = _TRIAD if len(degrees) == 3 else _SEVENTH
        pitch_classes = [(root + degree) % 12 for degree in degrees]
        tones[chord, pitch_classes] = True
        probabilities[chord] = (1 - sum(tone_probabilities)) / (12 - len(degrees))
        probabilities[chord, pitch_classes] = tone_probabilities
    probabilities[NONE] = 1 / 12
    return tones, np.log(probabilities)


def _log_prior(key: str) -> np.ndarray:
    """Computes the log-probability of each chord in C or c, f64[chords]."""
    degrees = chord_roots(np.arange(len(CHORDS)))
    is_diatonic = ~np.any(_CHORD_TONES & ~np.isin(np.arange(12), scale(key)), axis=1)
    diatonic = [DEGREE_WEIGHTS.get(int(degree), 1.0) for degree in degrees]
    weights = np.where(is_diatonic, diatonic, NON_DIATONIC_WEIGHT)
    return np.log(weights / weights.sum())


_CHORD_TONES, _LOG_PROBS = _tables()
_LOG_PRIORS = np.stack([_log_prior("C"), _log_prior("c")])
