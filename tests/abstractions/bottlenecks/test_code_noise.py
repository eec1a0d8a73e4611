"""Noise on the codes of continuous bottlenecks, in units of those that are finalized."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.bottlenecks.code_noise import with_code_noise
from regen_jax.abstractions.bottlenecks.identity import Identity
from regen_jax.abstractions.bottlenecks.kl import KL

KEYS = jax.random.split(jax.random.key(0), 40)
RNG = np.random.default_rng(0)
LATENTS = RNG.normal([100, -3], [10, 0.01], (40, 25, 2)).astype(np.float32)


@pytest.mark.parametrize(
    "bottleneck, latents",
    [
        (Identity(2), LATENTS),
        (KL(2), np.concatenate([LATENTS, np.zeros_like(LATENTS)], axis=-1)),
    ],
    ids=["identity", "kl"],
)
def test_noise_is_in_units_of_the_deviation_of_each_channel(bottleneck, latents):
    mask = jnp.arange(25) < RNG.integers(1, 26, 40)[:, None]
    dirty = np.where(mask[..., None], latents, 1e6)

    def noise(state, latents, mask):
        output = bottleneck.apply(state, KEYS, latents, mask, False)
        noisy = with_code_noise(bottleneck, state, KEYS, output, mask, 0.5)
        return np.asarray(noisy.values - output.values)

    start = bottleneck.init(None, None)
    actual = noise(start, dirty, mask)[mask]
    # An example's deviation is uniform up to 0.5: its mean square is 0.5² / 3.
    expected = LATENTS[mask].std(axis=0) * 0.5 / np.sqrt(3)
    np.testing.assert_allclose(actual.std(axis=0), expected, rtol=0.2)
    final = bottleneck.finalize(start, [(dirty, mask)])
    finalized = noise(final, dirty, mask)[mask]
    np.testing.assert_allclose(actual / expected, finalized / expected, atol=1e-3)
