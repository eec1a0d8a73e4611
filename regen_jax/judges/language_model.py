"""A language model, for the perplexity of generated sequences."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.interfaces import Judge, Key, LossOutput, Variables
from regen_jax.spaces import Category, Tokens


@dataclasses.dataclass(frozen=True)
class LanguageModel(Judge):
    """Models p(y) of real sequences autoregressively, without a source.

    Attributes:
      space: sequences.
      width: width of the transformer.
      num_layers: layers of the transformer.
      num_heads: attention heads of each layer.
    """

    space: Tokens
    width: int = 96
    num_layers: int = 2
    num_heads: int = 4

    @property
    def model(self) -> Autoregressive:
        """The generator of y, given a constant source."""
        return Autoregressive(
            Category(1),
            self.space,
            width=self.width,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            rotary=True,
            source_dropout=0.0,
        )

    def init(self, rng: jax.Array, x: jax.Array, y: jax.Array) -> Variables:
        return self.model.init(rng)

    def loss(
        self, variables: Variables, keys: Key, x: jax.Array, y: jax.Array, train: bool
    ) -> LossOutput:
        """Computes the cross-entropy of y in nats per token; x is ignored."""
        return self.model.loss(variables, keys, _constant_source(y), y, train)

    def nll(
        self, variables: Variables, sequences: np.ndarray, batch_size: int = 250
    ) -> np.ndarray:
        """Computes -log p(y) of sequences [N, ...] in nats, f32[N]."""
        batches = []
        for first in range(0, len(sequences), batch_size):
            batch = sequences[first : first + batch_size]
            # Padded to one size, so that the last batch is not compiled again.
            size = min(batch_size, len(sequences))
            rows = np.minimum(np.arange(size), len(batch) - 1)
            nll = np.asarray(self._nll(variables, batch[rows]))
            batches.append(nll[: len(batch)])
        return np.concatenate(batches)

    @functools.partial(jax.jit, static_argnums=0)
    def _nll(self, variables: Variables, sequences: jax.Array) -> jax.Array:
        return -self.model.log_prob(variables, _constant_source(sequences), sequences)


def _constant_source(sequences: jax.Array) -> jax.Array:
    """Returns the only class of `Category(1)` for each sequence, i32[B]."""
    return jnp.zeros(sequences.shape[0], jnp.int32)
