"""Metrics of symbolic music: key, chords, rhythm and voice leading.

Pitches are MIDI pitches, 0 is silence. Onset pitches are the pitch of each note at the
step where it begins, 0 elsewhere. Fractions of nothing are 0. Counts are to be summed
over pieces.
"""

import itertools

import numpy as np

_FIFTH, _OCTAVE = 7, 0
LARGEST_INTERVAL = 12
"""Semitones; larger intervals are clipped to it."""


def in_key_fraction(onset_pitches: np.ndarray, scale: tuple[int, ...]) -> float:
    """Computes the fraction of notes whose pitch class is in a scale, in [0, 1].

    Args:
      onset_pitches: int[...].
      scale: pitch classes of the key, 0 is C.
    """
    onset_pitches = np.asarray(onset_pitches)
    notes = onset_pitches[onset_pitches > 0]
    return _fraction(np.isin(notes % 12, list(scale)))


def in_chord_fraction(pitches: np.ndarray, chord_tones: np.ndarray) -> float:
    """Computes the fraction of sounding pitches in the chord of their beat, in [0, 1].

    Beats without a chord are ignored.

    Args:
      pitches: int[beats, n], sounding pitches of all steps and voices of a beat.
      chord_tones: bool[beats, 12], pitch classes of the chord; all false for no chord.
    """
    pitches, chord_tones = np.asarray(pitches), np.asarray(chord_tones)
    mask = (pitches > 0) & chord_tones.any(axis=1)[:, None]
    return _fraction(np.take_along_axis(chord_tones, pitches % 12, axis=1)[mask])


def onset_f1(onset_mask: np.ndarray, other: np.ndarray) -> float:
    """Computes the F1 of the onsets of two rhythms on one grid, in [0, 1].

    It is `2 |A and B| / (|A| + |B|)`, to which steps without any onset do not
    contribute, and 1 if neither rhythm has an onset.

    Args:
      onset_mask: bool[...], steps at which a note begins.
      other: bool[...], onset mask of the other rhythm.
    """
    onset_mask, other = np.asarray(onset_mask, bool), np.asarray(other, bool)
    total = onset_mask.sum() + other.sum()
    return float(2 * (onset_mask & other).sum() / total) if total else 1.0


def pitch_class_histogram(onset_pitches: np.ndarray) -> np.ndarray:
    """Counts the notes of each pitch class: onset pitches int[...] to i64[12]."""
    onset_pitches = np.asarray(onset_pitches)
    return np.bincount(onset_pitches[onset_pitches > 0] % 12, minlength=12)


def interval_histogram(onset_pitches: np.ndarray) -> np.ndarray:
    """Counts melodic intervals from -12 to 12 semitones, i64[25].

    An interval leads from a note of a voice to its next note, also across rests.

    Args:
      onset_pitches: int[T] or [T, voices].
    """
    onset_pitches = np.asarray(onset_pitches)
    counts = np.zeros(2 * LARGEST_INTERVAL + 1, np.int64)
    for voice in onset_pitches.reshape(len(onset_pitches), -1).T:
        intervals = np.diff(voice[voice > 0])
        intervals = np.clip(intervals, -LARGEST_INTERVAL, LARGEST_INTERVAL)
        counts += np.bincount(intervals + LARGEST_INTERVAL, minlength=len(counts))
    return counts


def histogram_distance(counts: np.ndarray, other: np.ndarray) -> float:
    """Computes the total variation distance of two histograms, in [0, 1].

    It is 1 if exactly one of them is empty.

    Args:
      counts: float[K], normalized here.
      other: float[K], normalized here.
    """
    counts, other = np.asarray(counts, np.float64), np.asarray(other, np.float64)
    if not (counts.sum() and other.sum()):
        return float(counts.sum() != other.sum())
    difference = counts / counts.sum() - other / other.sum()
    return float(np.abs(difference).sum() / 2)


def voice_leading_violations(
    pitches: np.ndarray, onset_mask: np.ndarray
) -> dict[str, int]:
    """Counts `parallel_fifths`, `parallel_octaves` and `crossings` of a score.

    A pair of voices has a parallel if, from one step with any onset to the next such
    step, both move in the same direction and are a perfect fifth (or an octave or
    unison) apart both times, modulo octaves. Repeated and held notes make none, nor does
    contrary motion, such as from a unison to an octave, nor a fifth that is reached from
    another interval (a hidden fifth).

    A crossing is a run of steps in which a lower voice sounds above a higher one; each
    run counts once per pair of voices, whatever its length.

    Args:
      pitches: int[T, voices], sounding pitches, voices from high to low.
      onset_mask: bool[T, voices], steps at which a note begins.
    """
    pitches = np.asarray(pitches)
    events = pitches[np.asarray(onset_mask).any(axis=1)]
    counts = {"parallel_fifths": 0, "parallel_octaves": 0, "crossings": 0}
    for high, low in itertools.combinations(range(pitches.shape[1]), 2):
        pair = events[:, [high, low]]
        moves = np.diff(pair, axis=0)
        sounds = (pair > 0).all(axis=1)
        similar = sounds[1:] & sounds[:-1] & (moves[:, 0] * moves[:, 1] > 0)
        intervals = np.abs(pair[:, 0] - pair[:, 1]) % 12
        for name, interval in (("fifths", _FIFTH), ("octaves", _OCTAVE)):
            parallel = (intervals[1:] == interval) & (intervals[:-1] == interval)
            counts[f"parallel_{name}"] += int((similar & parallel).sum())
        crossed = (pitches[:, low] > pitches[:, high]) & (pitches[:, high] > 0)
        counts["crossings"] += int(
            (crossed[1:] & ~crossed[:-1]).sum() + crossed[:1].sum()
        )
    return counts


def _fraction(hits: np.ndarray) -> float:
    return float(hits.mean()) if hits.size else 0.0
