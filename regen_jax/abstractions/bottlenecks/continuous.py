"""What continuous bottlenecks share: Y′ is an Array, standardized by stored moments."""

import abc
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.abstractions.bottlenecks.interface import (
    Bottleneck,
    Mask,
    State,
    full_mask,
)
from regen_jax.loss_output import global_mean
from regen_jax.spaces import Array, Padded, Value, length_mask

_MIN_STD = 1e-6
"""A channel that varies less is constant."""


class ContinuousBottleneck(Bottleneck):
    """A bottleneck whose Y′ is an unbounded Array [*latent_shape, dim] of unit scale.

    Its state are moments of each channel, by which Y′ is standardized, so that every
    generator meets zero mean and unit variance. They are 0 and 1 until `finalize`
    computes them over the train split.
    """

    collection = "moments"
    dim: int
    """Channels of a value."""

    @abc.abstractmethod
    def mean(self, latents: jax.Array) -> jax.Array:
        """Returns the values f32[..., dim] of latents [..., D], without noise."""

    @property
    def value_dim(self) -> int:
        return self.dim

    def output_space(self, latent_shape: tuple[int, ...], padded: bool) -> Array:
        return Array((*latent_shape, self.dim), padded=padded)

    def init(self, rng: jax.Array, latents: jax.Array) -> State:
        return {"mean": jnp.zeros(self.dim), "std": jnp.ones(self.dim)}

    def encode(self, state: State, latents: jax.Array, mask: Mask = None) -> jax.Array:
        return (self.mean(latents) - state["mean"]) / state["std"]

    def decode(self, state: State, codes: jax.Array) -> jax.Array:
        return codes * state["std"] + state["mean"]

    def code_scale(self, codes: jax.Array, mask: Mask) -> jax.Array:
        """Returns the deviation of each channel over the global batch, f32[dim]."""
        number, mean, squares = _batch_moments(codes, mask)
        number = number.astype(jnp.float32)
        # Devices have as many examples each, but not as many latents in the mask.
        mean_number, sums = global_mean((number, number * mean))
        mean_number = jnp.maximum(mean_number, 1e-6)
        between = number * jnp.square(mean - sums / mean_number)
        return jnp.sqrt(global_mean(squares + between) / mean_number)

    def pack(self, space: Array, codes: jax.Array, mask: Mask) -> Value:
        if mask is None:
            return codes
        length = mask.sum(axis=1, dtype=jnp.int32)
        return Padded(jnp.where(mask[..., None], codes, 0), length)

    def unpack(
        self, space: Array, latent_shape: tuple[int, ...], y_prime: Value
    ) -> tuple[jax.Array, Mask]:
        if not isinstance(y_prime, Padded):
            return y_prime, None
        return y_prime.values, length_mask(y_prime.length, space.shape[0])

    def finalize(
        self, state: State, latents: Iterable[tuple[jax.Array, Mask]]
    ) -> State:
        """Returns the moments of the means of all latents, by one pass over them.

        Moments of batches are merged by Chan, Golub and LeVeque's update ("Algorithms for
        Computing the Sample Variance", 1983, equation 2.1), in float64.
        """
        count, mean, squares = 0.0, np.zeros(self.dim), np.zeros(self.dim)
        for batch, mask in latents:
            moments = jax.device_get(_batch_moments(self.mean(batch), mask))
            n, batch_mean, batch_squares = (np.asarray(m, np.float64) for m in moments)
            if not n:
                continue
            total = count + n
            delta = batch_mean - mean
            squares += batch_squares + np.square(delta) * (count * n / total)
            mean += delta * (n / total)
            count = total
        if not count:
            return state
        std = np.maximum(np.sqrt(squares / count), _MIN_STD)
        return {
            "mean": jnp.asarray(mean, jnp.float32),
            "std": jnp.asarray(std, jnp.float32),
        }


@jax.jit
def _batch_moments(
    values: jax.Array, mask: Mask
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns how many values are in the mask, their mean and squared deviations.

    The last two are f32[D] each, and the squared deviations are sums.
    """
    mask = full_mask(values) if mask is None else mask
    z = values.reshape(-1, values.shape[-1])
    valid = mask.reshape(-1, 1)
    number = valid.sum()
    mean = jnp.where(valid, z, 0).sum(axis=0) / jnp.maximum(number, 1)
    squares = jnp.where(valid, jnp.square(z - mean), 0).sum(axis=0)
    return number, mean, squares
