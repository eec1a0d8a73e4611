"""Prediction of the noise."""

import dataclasses

import jax

from regen_jax.generators.diffusion.interfaces import Estimate, Prediction


@dataclasses.dataclass(frozen=True)
class Epsilon(Prediction):
    """The network predicts E[noise | x_t] (DDPM; Ho et al., arXiv 2006.11239, eq. 14)."""

    divides_by_alpha = True

    def error(
        self,
        prediction: jax.Array,
        noise: jax.Array,
        data: jax.Array,
        alpha: jax.Array,
        sigma: jax.Array,
    ) -> jax.Array:
        return prediction - noise

    def estimate(
        self, prediction: jax.Array, x: jax.Array, alpha: jax.Array, sigma: jax.Array
    ) -> Estimate:
        return Estimate((x - sigma * prediction) / alpha, prediction)
