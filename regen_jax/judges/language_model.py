"""A judge of generated sequences: how likely a model of real Y finds them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.interfaces import Judge, LossOutput, Variables
from regen_jax.spaces import Category, Tokens


@dataclasses.dataclass(frozen=True)
class LanguageModel(Judge):
    """p(y) of real y alone, one token after the other.

    Attributes:
      y: the space of sequences.
      width, num_layers, num_heads: of its transformer.
    """

    y: Tokens
    width: int = 96
    num_layers: int = 2
    num_heads: int = 4

    @property
    def model(self) -> Autoregressive:
        return Autoregressive(
            Category(1),
            self.y,
            width=self.width,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            rotary=True,
            source_dropout=0.0,
        )

    def init(self, rng: jax.Array, x: jax.Array, y: jax.Array) -> Variables:
        return self.model.init(rng)

    def loss(
        self,
        variables: Variables,
        keys: jax.Array,
        x: jax.Array,
        y: jax.Array,
        train: bool,
    ) -> LossOutput:
        """Cross-entropy in nats a token."""
        return self.model.loss(variables, keys, _nothing(y), y, train)

    def nats(
        self, variables: Variables, y: np.ndarray, batch_size: int = 250
    ) -> np.ndarray:
        """-log p(y) of each of y [N, …], f32[N]."""
        parts = []
        for first in range(0, len(y), batch_size):
            part = y[first : first + batch_size]
            # Filled up, so that the last batch does not compile anew.
            rows = np.minimum(np.arange(min(batch_size, len(y))), len(part) - 1)
            parts.append(np.asarray(self._nats(variables, part[rows]))[: len(part)])
        return np.concatenate(parts)

    @functools.partial(jax.jit, static_argnums=0)
    def _nats(self, variables: Variables, y: jax.Array) -> jax.Array:
        return -self.model.log_prob(variables, _nothing(y), y)


def _nothing(y: jax.Array) -> jax.Array:
    return jnp.zeros(y.shape[0], jnp.int32)
