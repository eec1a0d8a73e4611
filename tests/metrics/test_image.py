import math

import jax
import numpy as np
import pytest

from regen_jax.metrics.image import (
    edge_f1,
    mean_pairwise_distance,
    mse,
    nearest_neighbors,
    psnr,
)


def test_mse_is_per_image_and_relative_to_the_range():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, size=(2, 3, 4, 5, 1)).astype(np.uint8)
    expected = np.mean((a / 255 - b / 255) ** 2, axis=(1, 2, 3))
    errors = jax.jit(mse, static_argnames="peak")(a, b, peak=255)
    assert errors.shape == (3,) and errors.dtype == np.float32
    np.testing.assert_allclose(errors, expected, rtol=1e-6)
    signed = mse(a / 127.5 - 1, b / 127.5 - 1, peak=2)
    np.testing.assert_allclose(signed, expected, rtol=1e-5)


def test_psnr_of_known_errors():
    assert psnr(0.01) == pytest.approx(20)
    assert psnr(0.01 * 255**2, peak=255) == pytest.approx(20)
    assert psnr(0) == math.inf


@pytest.mark.parametrize("chunk", [1, 4, 512])
def test_nearest_neighbors_are_those_of_all_differences(chunk):
    rng = np.random.default_rng(1)
    samples, references = rng.random((9, 3, 3, 1)), rng.random((12, 3, 3, 1))
    samples[4] = references[7]
    table = np.sqrt(np.mean((samples[:, None] - references) ** 2, axis=(2, 3, 4)))
    distance, index = nearest_neighbors(samples, references, chunk_size=chunk)
    np.testing.assert_array_equal(index, table.argmin(axis=1))
    np.testing.assert_allclose(distance, table.min(axis=1), rtol=1e-12)
    assert distance[4] == 0 and index[4] == 7


@pytest.mark.parametrize("chunk", [2, 5, 512])
def test_mean_pairwise_distance_averages_all_pairs(chunk):
    samples = np.random.default_rng(2).random((7, 2, 2, 3))
    pairs = [
        np.sqrt(np.mean((samples[i] - samples[j]) ** 2))
        for i in range(7)
        for j in range(i)
    ]
    distance = mean_pairwise_distance(samples, chunk_size=chunk)
    assert distance == pytest.approx(np.mean(pairs), rel=1e-7)


def test_integers_do_not_wrap_and_copies_have_distance_0():
    samples = np.array([[0], [255]], np.uint8)
    assert mean_pairwise_distance(samples) == pytest.approx(255)
    assert nearest_neighbors(samples, samples[::-1])[1].tolist() == [1, 0]
    same = np.repeat(np.random.default_rng(3).random((1, 16)), 5, axis=0)
    assert mean_pairwise_distance(same) < 1e-7
    with pytest.raises(ValueError, match="at least 2 samples, not 1"):
        mean_pairwise_distance(same[:1])


def test_edge_f1_allows_a_pixel_of_tolerance():
    edges = np.zeros((2, 6, 6), bool)
    edges[0, 2, 1:5] = True
    assert edge_f1(edges, edges) == 1.0
    assert edge_f1(edges, np.roll(edges, (1, 1), axis=(1, 2))) == 1.0
    assert edge_f1(edges, np.roll(edges, 2, axis=1)) == 0.0
    # Another image has edges of its own.
    assert edge_f1(edges, edges[::-1]) == 0.0
    more = edges.copy()
    more[1, 4, 0:4] = True
    # Precision 1 / 2, recall 1.
    assert edge_f1(more, edges) == pytest.approx(2 / 3)
    assert edge_f1(0 * edges > 0, 0 * edges > 0) == 1.0
