import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.abstractions.bottlenecks.rounding import Rounding
from regen_jax.evaluation.rate import num_bits

PART = Rounding(dim=3, levels=5)
LATENTS = np.random.RandomState(0).normal(size=(2, 4, 3)).astype(np.float32)


def test_values_are_the_nearest_levels_of_tanh():
    output = PART.apply({}, jax.random.key(0), LATENTS, None, train=True)
    levels = np.linspace(-1, 1, 5)
    nearest = np.abs(np.tanh(LATENTS)[..., None] - levels).argmin(axis=-1)
    np.testing.assert_allclose(output.values, levels[nearest], atol=1e-6)
    np.testing.assert_allclose(PART.encode({}, LATENTS), output.codes)
    assert not output.loss.any()


def test_gradient_passes_as_that_of_tanh():
    def total(latents):
        output = PART.apply({}, jax.random.key(0), latents, None, train=True)
        return jnp.sum(output.values)

    slope = 1 - np.square(np.tanh(LATENTS))
    np.testing.assert_allclose(jax.grad(total)(LATENTS), slope, atol=1e-5)


def test_generated_values_are_rounded_and_the_rate_is_that_of_the_levels():
    decoded = PART.decode({}, jnp.array([[[-3.0, 0.3, 0.2]]]))
    np.testing.assert_allclose(decoded, [[[-1, 0.5, 0]]])
    assert num_bits(PART.output_space((4,), padded=False)) == 12 * np.log2(5)
