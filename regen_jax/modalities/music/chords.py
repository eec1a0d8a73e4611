"""The chord of each beat, from the pitch classes that sound in it.

A hidden Markov model: a chord emits the notes of its beat, and goes on or gives way to
another, which is likelier in the key than out of it. Template matching with smoothing
of this kind is that of Sheh and Ellis, "Chord segmentation and recognition using
EM-trained hidden Markov models" (2003); the probabilities here are set by hand.
"""

import numpy as np

from regen_jax.modalities.music.events import PITCH_CLASSES
from regen_jax.modalities.music.score import scale

QUALITIES = {"": (0, 4, 7), "m": (0, 3, 7), "o": (0, 3, 6), "7": (0, 4, 7, 10)}
"""Semitones from the root: major, minor, diminished, dominant seventh."""
CHORDS = (*(root + quality for root in PITCH_CLASSES for quality in QUALITIES), "N")
"""All chords, such as `C`, `Am`, `Bo` and `G7`; `N`, the last, is that of silence."""
NONE = len(CHORDS) - 1

STAY = 0.1
"""How likely a chord goes on in the next beat, rather than being drawn anew."""
LIKELY = {0: 3.0, 7: 3.0, 5: 2.0}
"""How much likelier diatonic chords on these degrees are than on others, in semitones
from the tonic: tonic, dominant and subdominant."""
OUTSIDE = 0.3
"""How likely a chord with a note outside the key is, to 1 of one without."""
_TRIAD, _SEVENTH = (0.35, 0.32, 0.28), (0.32, 0.27, 0.18, 0.19)
"""How likely a note of a chord is its root, third, fifth and seventh."""


def weights(pitches: np.ndarray, division: int) -> np.ndarray:
    """How much each pitch class sounds in each beat: f64 [T / division, 12], in beats.

    The lowest of several voices counts twice.

    Arguments:
      pitches: int [T, voices] or [T], MIDI pitches that sound; 0 is silence.
      division: steps a beat.
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


def recognize(weights: np.ndarray, key: int) -> np.ndarray:
    """The likeliest chords of all beats: int64 [beats], indices in CHORDS.

    By the algorithm of Viterbi. Beats are seen from the tonic, so that the same beats in
    another key have the same chords there exactly, ties included.

    Arguments:
      weights: f64 [beats, 12], as `weights` gives them.
      key: index in KEYS.
    """
    if not len(weights):
        return np.zeros(0, np.int64)
    tonic = key % 12
    fit = np.roll(weights, -tonic, axis=1) @ _NOTES.T
    silent = ~np.any(weights, axis=1)
    fit[:, NONE] = np.where(silent, 0, -np.inf)
    fit[silent, :NONE] = -np.inf
    found = _viterbi(fit, _PRIORS[key // 12])
    return np.where(found == NONE, NONE, (found + len(QUALITIES) * tonic) % NONE)


def tones(chords: np.ndarray) -> np.ndarray:
    """bool [..., 12]: the pitch classes of chords int [...]; none of `N`."""
    return _TONES[chords]


def root(chords: np.ndarray) -> np.ndarray:
    """int [...]: the pitch class of the root of chords int [...]; 12 of `N`."""
    return np.asarray(chords) // len(QUALITIES)


def _viterbi(fit: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """The best path int64 [beats] through log-likelihoods fit [beats, chords].

    A chord stays, or is drawn anew from the prior (log) [chords].
    """
    stay, change = np.log(STAY), np.log1p(-STAY) + prior
    best = prior + fit[0]
    stays, leaders = np.empty(fit.shape, bool), [0]
    for beat in range(1, len(fit)):
        leaders.append(int(best.argmax()))
        changed = best[leaders[-1]] + change
        best += stay
        np.greater_equal(best, changed, out=stays[beat])
        np.maximum(best, changed, out=best)
        best += fit[beat]
    path = [int(best.argmax())]
    for beat in range(len(fit) - 1, 0, -1):
        path.append(path[-1] if stays[beat, path[-1]] else leaders[beat])
    return np.array(path[::-1])


def _tables() -> tuple[np.ndarray, np.ndarray]:
    """Of all chords, their tones and the log-probability of each pitch class [.., 12]."""
    tones = np.zeros((len(CHORDS), 12), bool)
    notes = np.zeros((len(CHORDS), 12))
    for chord in range(NONE):
        root, quality = divmod(chord, len(QUALITIES))
        degrees = tuple(QUALITIES.values())[quality]
        likely = _TRIAD if len(degrees) == 3 else _SEVENTH
        length_mask = [(root + degree) % 12 for degree in degrees]
        tones[chord, length_mask] = True
        notes[chord] = (1 - sum(likely)) / (12 - len(degrees))
        notes[chord, length_mask] = likely
    notes[NONE] = 1 / 12
    return tones, np.log(notes)


def _prior(key: str) -> np.ndarray:
    """Log-probability of each chord in a key whose tonic is C: f64 [chords]."""
    degrees = root(np.arange(len(CHORDS)))
    diatonic = ~np.any(_TONES & ~np.isin(np.arange(12), scale(key)), axis=1)
    share = np.where(diatonic, [LIKELY.get(int(d), 1.0) for d in degrees], OUTSIDE)
    return np.log(share / share.sum())


_TONES, _NOTES = _tables()
_PRIORS = np.stack([_prior("C"), _prior("c")])
