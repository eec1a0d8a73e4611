"""A learned abstraction of sequences: a fixed number of codes for all of their tokens."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax import ranges
from regen_jax.abstractions.bottlenecks.interface import Quantizer
from regen_jax.abstractions.bottlenecks.vq import VectorQuantizer
from regen_jax.abstractions.quantized import QuantizedAutoencoder
from regen_jax.networks.latent_queries import Decoder, Encoder
from regen_jax.networks.token_logits import (
    accuracies,
    argmax_tokens,
    loss_mask,
    mask_invalid,
    masked_mean,
    token_log_probs,
    token_weights,
)
from regen_jax.networks.transformer_options import check_size
from regen_jax.ranges import Count, Dtype, Positive
from regen_jax.spaces import Tokens


@dataclasses.dataclass(frozen=True)
class TokenAutoencoder(QuantizedAutoencoder):
    """Tokens to `num_latents` codes, each of which may stand for any of the tokens.

    See `regen_jax.networks.latent_queries`. The way back predicts all tokens at once, each
    apart from the others: a generator as the decoder makes them agree.

    Attributes:
      y: the space of sequences, or of sequences of stacks.
      quantizer: makes codes of the encoder's latents.
      num_latents: codes of a sequence, however long it is.
      width: of each vector, divided among `num_heads`.
      num_layers: blocks of each of three: over the tokens, of the latents that read
        them, and of the tokens that are read from the latents.
      mlp_ratio: how many times as wide as a vector an MLP is.
      dtype: compute dtype of the networks; quantizers stay in float32.
    """

    input_space: Tokens
    quantizer: Quantizer = dataclasses.field(default_factory=VectorQuantizer)
    num_latents: Count = 16
    width: Count = 128
    num_layers: Count = 2
    num_heads: Count = 4
    mlp_ratio: Positive = 4.0
    dtype: Dtype = "float32"

    def __post_init__(self):
        if not isinstance(self.input_space, Tokens) or self.input_space.vocab < 2:
            raise ValueError(f"needs Tokens of two ids or more, not {self.input_space}")
        ranges.check(self)
        check_size(self.width, self.num_layers, self.num_heads, self.mlp_ratio)

    @property
    def grid(self) -> tuple[int]:
        return (self.num_latents,)

    @property
    def encoder(self) -> Encoder:
        return Encoder(
            self.input_space,
            self.num_latents,
            self.quantizer.latent_dim,
            self.width,
            self.num_layers,
            self.num_heads,
            self.mlp_ratio,
            jnp.dtype(self.dtype),
        )

    @property
    def decoder(self) -> Decoder:
        return Decoder(
            self.input_space,
            self.width,
            self.num_layers,
            self.num_heads,
            self.mlp_ratio,
            jnp.dtype(self.dtype),
        )

    def preprocess(self, y: jax.Array) -> jax.Array:
        return y

    def postprocess(self, prediction: jax.Array) -> jax.Array:
        return argmax_tokens(self.input_space, prediction)

    def reconstruction_loss(
        self, prediction: jax.Array, y: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Cross-entropy in nats a token that counts: see `counted`."""
        log_probs = token_log_probs(mask_invalid(self.input_space, prediction), y)
        nats = masked_mean(-log_probs, loss_mask(self.input_space, y))
        return nats, accuracies(self.input_space, prediction, y)

    def weights(self, y: jax.Array) -> dict[str, jax.Array]:
        """Every token weighs the same, whatever the length of its sequence."""
        return token_weights(self.input_space, y, ("loss", "reconstruction_loss"))
