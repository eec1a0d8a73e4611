"""How musical notes are: in their key and chords, in rhythm, and in voice leading.

Pitches are those of MIDI, 0 where nothing sounds; onsets are where a note begins. Shares
of nothing are 0. What counts is given back as counts, to be summed over pieces.
"""

import itertools

import numpy as np

_FIFTH, _OCTAVE = 7, 0
LARGEST_INTERVAL = 12
"""Semitones; wider intervals count as this one."""


def in_key_share(onset_pitches: np.ndarray, scale: tuple[int, ...]) -> float:
    """Share of the notes whose pitch class is in a scale, in [0, 1].

    Arguments:
      onset_pitches: int [...], the pitch of each note where it begins, 0 elsewhere.
      scale: the pitch classes of the key, 0 is C.
    """
    onset_pitches = np.asarray(onset_pitches)
    notes = onset_pitches[onset_pitches > 0]
    return _share(np.isin(notes % 12, list(scale)))


def in_chord_share(pitches: np.ndarray, tones: np.ndarray) -> float:
    """Share of what sounds that belongs to the chord of its beat, in [0, 1].

    Beats without a chord do not count.

    Arguments:
      pitches: int [beats, n], what sounds at each step and voice of a beat.
      tones: bool [beats, 12], the pitch classes of its chord; none where it has none.
    """
    pitches, tones = np.asarray(pitches), np.asarray(tones)
    counts = (pitches > 0) & tones.any(axis=1)[:, None]
    return _share(np.take_along_axis(tones, pitches % 12, axis=1)[counts])


def rhythm_agreement(onsets: np.ndarray, other: np.ndarray) -> float:
    """F-measure of the onsets of two rhythms on one grid, in [0, 1].

    It is `2 |both| / (|one| + |other|)`: steps where nothing begins in either do not
    flatter it. 1 where neither has an onset.

    Arguments:
      onsets: bool [...], where a note begins.
      other: the same of the other rhythm.
    """
    onsets, other = np.asarray(onsets, bool), np.asarray(other, bool)
    total = onsets.sum() + other.sum()
    return float(2 * (onsets & other).sum() / total) if total else 1.0


def pitch_class_histogram(onset_pitches: np.ndarray) -> np.ndarray:
    """How many notes have each pitch class: onset pitches int [...] to int64 [12]."""
    onset_pitches = np.asarray(onset_pitches)
    return np.bincount(onset_pitches[onset_pitches > 0] % 12, minlength=12)


def interval_histogram(onset_pitches: np.ndarray) -> np.ndarray:
    """How often each melodic interval occurs: int64 [25], from -12 to 12 semitones.

    Intervals lead from a note of a voice to its next one, over rests too.

    Arguments:
      onset_pitches: int [T] or [T, voices], the pitch of each note where it begins, 0
        elsewhere.
    """
    onset_pitches = np.asarray(onset_pitches)
    found = np.zeros(2 * LARGEST_INTERVAL + 1, np.int64)
    for voice in onset_pitches.reshape(len(onset_pitches), -1).T:
        intervals = np.diff(voice[voice > 0])
        intervals = np.clip(intervals, -LARGEST_INTERVAL, LARGEST_INTERVAL)
        found += np.bincount(intervals + LARGEST_INTERVAL, minlength=len(found))
    return found


def histogram_distance(counts: np.ndarray, other: np.ndarray) -> float:
    """Total variation of two histograms [K] as shares of their sums, in [0, 1].

    1 where one of them alone is empty.
    """
    counts, other = np.asarray(counts, np.float64), np.asarray(other, np.float64)
    if not (counts.sum() and other.sum()):
        return float(counts.sum() != other.sum())
    difference = counts / counts.sum() - other / other.sum()
    return float(np.abs(difference).sum() / 2)


def voice_leading_faults(pitches: np.ndarray, onsets: np.ndarray) -> dict[str, int]:
    """Counts of `parallel_fifths`, `parallel_octaves` and `crossings` of a score.

    A pair of voices has a parallel where, from one step at which any voice begins a note
    to the next such step, both move to another pitch in the same direction, and they
    are a perfect fifth (or an octave, or unison) apart both times, give or take octaves.
    So repeated and held notes make none, nor does contrary motion, as from a unison to an
    octave, nor a fifth that is reached from another interval (a hidden one).

    A crossing is a stretch of steps in which a lower voice sounds above a higher one,
    counted once however long it lasts, for each pair of voices.

    Arguments:
      pitches: int [T, voices], what sounds, voices from high to low.
      onsets: bool [T, voices], where a note begins.
    """
    pitches = np.asarray(pitches)
    events = pitches[np.asarray(onsets).any(axis=1)]
    faults = {"parallel_fifths": 0, "parallel_octaves": 0, "crossings": 0}
    for high, low in itertools.combinations(range(pitches.shape[1]), 2):
        pair = events[:, [high, low]]
        moves = np.diff(pair, axis=0)
        sounds = (pair > 0).all(axis=1)
        similar = sounds[1:] & sounds[:-1] & (moves[:, 0] * moves[:, 1] > 0)
        intervals = np.abs(pair[:, 0] - pair[:, 1]) % 12
        for name, interval in (("fifths", _FIFTH), ("octaves", _OCTAVE)):
            kept = (intervals[1:] == interval) & (intervals[:-1] == interval)
            faults[f"parallel_{name}"] += int((similar & kept).sum())
        crossed = (pitches[:, low] > pitches[:, high]) & (pitches[:, high] > 0)
        faults["crossings"] += int(
            (crossed[1:] & ~crossed[:-1]).sum() + crossed[:1].sum()
        )
    return faults


def _share(hits: np.ndarray) -> float:
    return float(hits.mean()) if hits.size else 0.0
