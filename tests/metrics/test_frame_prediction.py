"""Metrics of frames, against closed forms."""

import numpy as np
import pytest

from regen_jax.metrics import frame_prediction as metrics

RNG = np.random.default_rng(0)


def test_errors_equal_those_of_numpy():
    y, other = RNG.integers(256, size=(2, 3, 4, 12, 12, 1), dtype=np.uint8)
    expected = ((y.astype(float) - other) ** 2).reshape(3, -1).mean(axis=1)
    np.testing.assert_allclose(metrics.mean_squared_errors(y, other), expected)


def test_similarity_is_one_for_equal_frames_and_falls_with_noise():
    ramp = np.linspace(20, 200, 40).astype(np.uint8)
    y = np.broadcast_to(ramp[:, None, None], (2, 2, 40, 40, 1))
    noisy = y.copy()
    noise = RNG.integers(30, size=y[1].shape, dtype=np.uint8)
    noisy[1] = np.minimum(noisy[1], 220) + noise
    same, different = metrics.structural_similarities(y, noisy)
    assert same == pytest.approx(1) and different < 0.9


def test_similarity_of_constant_frames_has_closed_form():
    """Without variance it is (2 a b + c) / (a² + b² + c), c = (0.01 · 255)²."""
    y, other = (np.full((1, 1, 12, 12, 3), value, np.uint8) for value in (100, 120))
    constant = (0.01 * 255) ** 2
    expected = (2 * 100 * 120 + constant) / (100**2 + 120**2 + constant)
    similarity = metrics.structural_similarities(y, other)
    np.testing.assert_allclose(similarity, expected, rtol=1e-6)
