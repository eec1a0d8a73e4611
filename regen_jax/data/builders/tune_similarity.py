"""Measures whether melodies are one tune, in whatever key, meter and ornament."""

from collections.abc import Hashable, Sequence

import numpy as np

# Scores of an alignment, in tenths of that of an interval that agrees.
_MATCH, _MISMATCH, _GAP = 10, -10, -7


def skeleton(notes: np.ndarray, beat: int) -> np.ndarray:
    """Returns the intervals between the notes that sound on the beats of a melody.

    This removes what settings of one tune differ in: the key, notes between the beats,
    repeated notes and lengths, and so the meter.

    Args:
      notes: int[N, 3], the start, duration and MIDI pitch of each, in order.
      beat: steps per beat.

    Returns:
      Intervals i16[M] in semitones, without zeros.
    """
    starts, durations, pitches = np.asarray(notes).reshape(-1, 3).T
    sounds_on_beat = -(-starts // beat) < -(-(starts + durations) // beat)
    intervals = np.diff(pitches[sounds_on_beat])
    return intervals[intervals != 0].astype(np.int16)


def similarities(tune: np.ndarray, tunes: Sequence[np.ndarray]) -> np.ndarray:
    """Computes how much of the shorter of two skeletons is in the other.

    The score of the best local alignment (Smith and Waterman, 1981) over the number of
    intervals of the shorter one: 1 for each interval that agrees, -1 for each that
    differs, -0.7 for each left out on either side.

    Args:
      tune: i16[M].
      tunes: skeletons to compare it with.

    Returns:
      Similarities f64[len(tunes)] in [0, 1].
    """
    lengths = np.array([len(other) for other in tunes], int)
    if not len(tune) or not lengths.any():
        return np.zeros(len(lengths))
    # No interval is as wide as the padding of the shorter ones.
    others_LxB = np.full((lengths.max(), len(tunes)), np.iinfo(np.int16).max, np.int16)
    for column, other in enumerate(tunes):
        others_LxB[: len(other), column] = other
    gaps_Lx1 = np.arange(len(others_LxB), dtype=np.int16)[:, None] * np.int16(_GAP)
    scores_LxB = np.zeros_like(others_LxB)
    best_B = np.zeros(len(tunes), np.int16)
    for interval in tune:
        agree_LxB = np.where(others_LxB == interval, _MATCH, _MISMATCH).astype(np.int16)
        agree_LxB[1:] += scores_LxB[:-1]
        scores_LxB = np.maximum(np.maximum(agree_LxB, scores_LxB + np.int16(_GAP)), 0)
        # Intervals left out of the others: the best before, less a gap for each step.
        scores_LxB = np.maximum.accumulate(scores_LxB - gaps_Lx1) + gaps_Lx1
        best_B = np.maximum(best_B, scores_LxB.max(axis=0))
    return best_B / _MATCH / np.maximum(np.minimum(len(tune), lengths), 1)


def group(
    tunes: Sequence[np.ndarray],
    names: Sequence[Hashable],
    threshold: float,
    named_threshold: float,
) -> list[list[int]]:
    """Groups tunes that a chain of similar ones joins.

    Args:
      tunes: skeletons.
      names: of the tunes.
      threshold: the similarity from which on two tunes are joined.
      named_threshold: likewise, for two tunes of the same name.

    Returns:
      Indices of the tunes of each group; groups are in the order of their first index.
    """
    labels = np.arange(len(tunes))
    for index, tune in enumerate(tunes):
        same_name = np.array([name == names[index] for name in names[:index]], bool)
        thresholds = np.where(same_name, named_threshold, threshold)
        for other in np.flatnonzero(similarities(tune, tunes[:index]) >= thresholds):
            new, old = sorted((labels[index], labels[other]))
            labels[labels == old] = new
    return [np.flatnonzero(labels == label).tolist() for label in np.unique(labels)]
