"""What the quantized autoencoders share: all but the networks and what they compare."""

import abc
import math
from typing import Any

import flax.linen as nn
import jax

from regen_jax.abstractions.bottlenecks.interface import Quantizer
from regen_jax.interfaces import Abstraction, LossOutput, Variables
from regen_jax.metrics import codebook
from regen_jax.spaces import Tokens


class QuantizedAutoencoder(Abstraction):
    """Y to codes of an encoder's latents, and back by a decoder, learned from Y alone.

    A subclass is a frozen dataclass with the options `y`, `quantizer` and those of its
    networks. In order of their codes, latents stand on a `grid` of any rank.
    """

    quantizer: Quantizer

    learned = True

    @property
    @abc.abstractmethod
    def grid(self) -> tuple[int, ...]:
        """Shape of the latents of an example, without their channels."""

    @property
    @abc.abstractmethod
    def encoder(self) -> nn.Module:
        """Maps what `network_input` gives to latents [B, *grid, quantizer.latent_dim]."""

    @property
    @abc.abstractmethod
    def decoder(self) -> nn.Module:
        """Maps values f32[B, *grid, quantizer.latent_dim] to a prediction of y."""

    @abc.abstractmethod
    def preprocess(self, y: jax.Array) -> jax.Array:
        """y [B, *y.shape] as the encoder reads it."""

    @abc.abstractmethod
    def postprocess(self, prediction: jax.Array) -> jax.Array:
        """The y [B, *y.shape] that the decoder's output stands for."""

    @abc.abstractmethod
    def reconstruction_loss(
        self, prediction: jax.Array, y: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The reconstruction's loss f32[B], and further metrics f32[B] by name."""

    @property
    def output_space(self) -> Tokens:
        quantizer = self.quantizer
        return Tokens(math.prod(self.grid), quantizer.vocab, quantizer.depth)

    def weights(self, y: jax.Array) -> dict[str, jax.Array]:
        """`LossOutput.weights` of y [B, *y.shape]: by default every example weighs 1."""
        return {}

    def init(self, rng: jax.Array, y: jax.Array) -> Variables:
        encoder_rng, decoder_rng, codebook_rng = jax.random.split(rng, 3)
        x = self.preprocess(y)
        encoder = self.encoder.init(encoder_rng, x)["params"]
        latents = self.encoder.apply({"params": encoder}, x)
        decoder = self.decoder.init(decoder_rng, latents)["params"]
        flat = latents.reshape(-1, latents.shape[-1])
        return {
            "params": {"encoder": encoder, "decoder": decoder},
            "codebook": self.quantizer.init(codebook_rng, flat),
        }

    def encode(self, variables: Variables, y: jax.Array) -> jax.Array:
        codes = self.quantizer.encode(
            variables["codebook"], self._latents(variables, y)
        )
        return codes.reshape(y.shape[0], *self.output_space.shape)

    def decode(self, variables: Variables, y_prime: jax.Array) -> jax.Array:
        codes = y_prime.reshape(-1, *self.grid, *self.output_space.shape[1:])
        values = self.quantizer.decode(variables["codebook"], codes)
        return self.postprocess(self._prediction(variables, values))

    def loss(
        self, variables: Variables, keys: jax.Array, y: jax.Array, train: bool
    ) -> LossOutput:
        """The reconstruction's loss plus the quantizer's own term."""
        latents = self._latents(variables, y)
        quantized = self.quantizer.quantize(
            variables["codebook"], keys, latents, train=train
        )
        error, metrics = self.reconstruction_loss(
            self._prediction(variables, quantized.values), y
        )
        return LossOutput(
            loss=error + quantized.loss,
            metrics={
                "reconstruction_loss": error,
                "quantizer_loss": quantized.loss,
                **metrics,
            },
            sums=quantized.sums,
            per_example=quantized.per_example,
            weights=self.weights(y),
        )

    def update(
        self, variables: Variables, rng: jax.Array, objective: LossOutput
    ) -> Variables:
        updated = self.quantizer.update(
            variables["codebook"], rng, objective.sums, objective.per_example
        )
        return {**variables, "codebook": updated}

    def summarize(
        self, metrics: dict[str, float], totals: dict[str, Any]
    ) -> dict[str, float]:
        return {**metrics, **codebook.summary(totals["code_counts"])}

    def _latents(self, variables: Variables, y: jax.Array) -> jax.Array:
        encoder = {"params": variables["params"]["encoder"]}
        return self.encoder.apply(encoder, self.preprocess(y))

    def _prediction(self, variables: Variables, values: jax.Array) -> jax.Array:
        return self.decoder.apply({"params": variables["params"]["decoder"]}, values)
