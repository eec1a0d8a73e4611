"""How well a mouth moves with what is said."""

import numpy as np


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
