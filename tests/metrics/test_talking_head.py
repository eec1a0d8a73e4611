import numpy as np
import pytest

from regen_jax.metrics.talking_head import (
    correlation,
    cross_correlation,
    mouth_correlation,
    mouth_metrics,
    peak_lag,
)

TRACK = np.random.RandomState(0).normal(size=60).cumsum()


def test_correlation_equals_numpy():
    other = TRACK + np.random.RandomState(1).normal(size=60)
    expected = np.corrcoef(TRACK, other)[0, 1]
    assert correlation(TRACK, other) == pytest.approx(expected)


def test_constant_track_has_no_correlation():
    assert correlation(TRACK, np.ones(60)) is None
    assert cross_correlation(TRACK, np.ones(60), 3) is None


def test_mouth_that_does_not_move_has_correlation_zero():
    shut = np.zeros(60)
    assert mouth_correlation(shut, TRACK) == 0
    assert mouth_correlation(TRACK, shut) is mouth_correlation(shut, shut) is None
    metrics = mouth_metrics([(TRACK, TRACK), (shut, TRACK), (TRACK, shut)], 40)
    expected = {"mouth_correlation": 0.5, "mouth_lag_ms": 0, "mouth_lag_clip_ms": 0}
    assert metrics == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("frames", [-3, 0, 2])
def test_lag_of_later_track_is_positive(frames):
    wave = np.sin(np.arange(80) / 3) * np.hanning(80)
    late = np.roll(wave, frames)
    assert peak_lag(cross_correlation(late, wave, 6)) == pytest.approx(frames, abs=0.05)


def test_lag_between_frames_is_interpolated():
    times = np.arange(80)
    early, late = (np.exp(-(((times - m) / 6) ** 2)) for m in (40, 41.4))
    assert peak_lag(cross_correlation(late, early, 6)) == pytest.approx(1.4, abs=0.05)


def test_peak_at_an_end_is_not_interpolated():
    assert peak_lag(np.array([0.1, 0.2, 0.9])) == 1
