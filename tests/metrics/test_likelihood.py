import math

import numpy as np
import pytest

from regen_jax.metrics.likelihood import bits_per_dim, nats_per_token


def test_uniform_noise_has_the_bits_of_its_levels():
    nll = 784 * math.log(256)
    assert bits_per_dim(nll, 784) == pytest.approx(8, rel=1e-14)
    assert nats_per_token(nll, 784) == pytest.approx(math.log(256), rel=1e-14)


def test_arrays_are_normalized_elementwise():
    nll = np.array([1.0, 2.0], np.float32)
    np.testing.assert_allclose(bits_per_dim(nll, 4), nll / (4 * np.log(2)), rtol=1e-6)
    np.testing.assert_array_equal(nats_per_token(nll, 4), nll / 4)
