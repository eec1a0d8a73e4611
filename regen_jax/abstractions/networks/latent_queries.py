"""Transformers between tokens and a fixed number of latents, by learned queries."""

import dataclasses

import jax

from regen_jax.abstractions.networks.interface import Networks
from regen_jax.networks.latent_queries import Decoder, Encoder
from regen_jax.networks.token_logits import argmax_tokens
from regen_jax.networks.transformer_options import TransformerShape
from regen_jax.ranges import Count
from regen_jax.spaces import Space, Tokens


@dataclasses.dataclass(frozen=True)
class LatentQueriesNetworks(TransformerShape, Networks):
    """Sequences to `num_latents` latents, each of which may stand for any token.

    See `regen_jax.networks.latent_queries`. The decoder predicts all tokens at once, each
    independently of the others; an autoregressive decoder makes them agree.

    Attributes:
      num_latents: latents of a sequence, whatever its length.
      num_layers: blocks of each of three stacks: over the tokens, of the latents that
        read them, and of the tokens that are read from the latents.
    """

    num_latents: Count = 16
    num_layers: Count = dataclasses.field(default=2, kw_only=True)

    def check(self, space: Space) -> None:
        if not isinstance(space, Tokens) or space.vocab < 2:
            raise ValueError(
                f"networks 'latent_queries' need Tokens of two ids or more, not {space}"
            )

    def latent_shape(self, space: Tokens) -> tuple[int]:
        return (self.num_latents,)

    def encoder(self, space: Tokens, latent_dim: int) -> Encoder:
        return Encoder(space, self.num_latents, latent_dim, self)

    def decoder(self, space: Tokens) -> Decoder:
        return Decoder(space, self)

    @property
    def last_layer(self) -> tuple[str, ...]:
        return "head", "kernel"

    def preprocess(self, space: Tokens, y: jax.Array) -> jax.Array:
        return y

    def postprocess(
        self, space: Tokens, prediction: jax.Array, mask: jax.Array | None
    ) -> jax.Array:
        return argmax_tokens(space, prediction)
