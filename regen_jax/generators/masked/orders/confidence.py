"""Tokens that the model is surest of come first."""

import dataclasses

import jax

from regen_jax.generators.masked.interfaces import Order
from regen_jax.ranges import NonNegative
from regen_jax.spaces import Tokens


@dataclasses.dataclass(frozen=True)
class Confidence(Order):
    """Reveals the likeliest candidates, with noise that is annealed to 0.

    Chang et al., arXiv 2202.04200, section 3.2; the noise, which keeps samples diverse, is
    that of their code.

    Attributes:
      noise: Gumbel noise times `noise` · (1 - progress) is added to each log-probability.
    """

    noise: NonNegative = 4.5

    def scores(
        self, space: Tokens, keys: jax.Array, log_probs: jax.Array, progress: jax.Array
    ) -> jax.Array:
        def draw(key: jax.Array) -> jax.Array:
            return jax.random.gumbel(key, space.shape)

        return log_probs + self.noise * (1 - progress) * jax.vmap(draw)(keys)
