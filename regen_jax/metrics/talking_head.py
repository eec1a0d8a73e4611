"""How well a mouth moves with what is said."""

from collections.abc import Sequence

import numpy as np

MAX_LAG = 6
"""Frames by which a mouth is searched before and after the sound."""


def mouth_metrics(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], frame_ms: float
) -> dict[str, float]:
    """Computes how well mouths follow the true ones.

    Args:
      pairs: openings f[T] that are generated, each beside the true one.
      frame_ms: milliseconds per frame.

    Returns:
      `mouth_correlation`, the mean over clips; `mouth_lag_ms`, the distance from 0 of the
      lag at which the mean of their cross-correlations peaks, and `mouth_lag_clip_ms`, the
      mean of that of single clips. Clips without any are left out: the first where the true
      opening is constant, the others where either is.
    """
    values = [v for pair in pairs if (v := mouth_correlation(*pair)) is not None]
    crossed = [
        v
        for pair in pairs
        if len(pair[0]) > 2 * MAX_LAG + 2
        and (v := cross_correlation(*pair, MAX_LAG)) is not None
    ]
    metrics = {"mouth_correlation": float(np.mean(values))} if values else {}
    if crossed:
        lags = [abs(peak_lag(clip)) for clip in crossed]
        metrics["mouth_lag_ms"] = abs(peak_lag(np.mean(crossed, axis=0))) * frame_ms
        metrics["mouth_lag_clip_ms"] = float(np.mean(lags)) * frame_ms
    return metrics


def mouth_correlation(track: np.ndarray, true: np.ndarray) -> float | None:
    """Computes the correlation of an opening f[T] with the true one.

    0 where the mouth does not move though it should; None where the true one does not.
    """
    if correlation(true, true) is None:
        return None
    return correlation(track, true) or 0.0


def correlation(track: np.ndarray, other: np.ndarray) -> float | None:
    """Computes Pearson's correlation of two tracks f[T]; None where one is constant."""
    track, other = track - track.mean(), other - other.mean()
    scale = np.sqrt(np.sum(track**2) * np.sum(other**2))
    return float(np.sum(track * other) / scale) if scale > 1e-6 else None


def cross_correlation(
    track: np.ndarray, other: np.ndarray, max_lag: int
) -> np.ndarray | None:
    """Computes the correlation at each lag by which the first track is later.

    Args:
      track: f[T], T above 2 max_lag.
      other: f[T].
      max_lag: in frames.

    Returns:
      f64[2 max_lag + 1], from -max_lag to max_lag; None where one is constant.
    """
    values = []
    for lag in range(-max_lag, max_lag + 1):
        late, early = track[max(lag, 0) :], other[max(-lag, 0) :]
        size = len(track) - abs(lag)
        values.append(correlation(late[:size], early[:size]))
    return None if None in values else np.array(values)


def peak_lag(correlations: np.ndarray) -> float:
    """Returns the lag of the peak of correlations, from -max_lag to max_lag, in frames.

    Between frames it is the vertex of the parabola through the peak and its neighbors.
    """
    peak = int(np.argmax(correlations))
    middle = len(correlations) // 2
    if not 0 < peak < len(correlations) - 1:
        return float(peak - middle)
    before, top, after = correlations[peak - 1 : peak + 2]
    curvature = before - 2 * top + after
    shift = 0.5 * (before - after) / curvature if curvature else 0.0
    return float(peak - middle + shift)
