"""Which melodies are one tune, in whatever key, metre and ornament."""

from collections.abc import Hashable, Sequence

import numpy as np

# Of an alignment, in tenths of an interval that agrees.
_MATCH, _MISMATCH, _GAP = 10, -10, -7


def skeleton(notes: np.ndarray, beat: int) -> np.ndarray:
    """Intervals int16 [M], in semitones, between what sounds on the beats of a melody.

    What settings of one tune differ in falls away: the key, notes between the beats,
    repeated notes and lengths, and so the metre.

    Args:
      notes: int [N, 3], the start, duration and MIDI pitch of each, in order.
      beat: steps a beat.
    """
    starts, durations, pitches = np.asarray(notes).reshape(-1, 3).T
    sounds_on_beat = -(-starts // beat) < -(-(starts + durations) // beat)
    intervals = np.diff(pitches[sounds_on_beat])
    return intervals[intervals != 0].astype(np.int16)


def similarities(tune: np.ndarray, tunes: Sequence[np.ndarray]) -> np.ndarray:
    """float64 [len(tunes)] in [0, 1]: how much of the shorter skeleton is in the other.

    The score of the best local alignment (Smith and Waterman, 1981) over the number of
    intervals of the shorter one: 1 for each interval that agrees, -1 for each that
    differs, -0.7 for each left out on either side.
    """
    lengths = np.array([len(other) for other in tunes], int)
    if not len(tune) or not lengths.any():
        return np.zeros(len(lengths))
    # No interval is as wide as what the shorter ones are filled up with.
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
    """Indices of the tunes, together where a chain of similar ones joins them.

    Two are joined whose similarity reaches the threshold, which is lower for tunes of
    the same name. The groups are in the order of their first index.
    """
    labels = np.arange(len(tunes))
    for index, tune in enumerate(tunes):
        named = np.array([name == names[index] for name in names[:index]], bool)
        needed = np.where(named, named_threshold, threshold)
        for other in np.flatnonzero(similarities(tune, tunes[:index]) >= needed):
            new, old = sorted((labels[index], labels[other]))
            labels[labels == old] = new
    return [np.flatnonzero(labels == label).tolist() for label in np.unique(labels)]
