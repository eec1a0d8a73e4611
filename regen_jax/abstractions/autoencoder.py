"""A learned abstraction: the codes of a quantized autoencoder, from Y alone."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from regen_jax.abstractions.quantizers.interface import Quantizer
from regen_jax.abstractions.quantizers.vq import VectorQuantizer
from regen_jax.interfaces import Abstraction, Objective, Variables
from regen_jax.metrics import codebook
from regen_jax.networks.convnet import Decoder, Encoder
from regen_jax.spaces import Array, Tokens


@dataclasses.dataclass(frozen=True)
class Autoencoder(Abstraction):
    """Images to a grid of codes in raster order, at 1 / 2^n of the resolution.

    Attributes:
      y: the space of images, bounded, [H, W, C].
      quantizer: makes codes of the encoder's latents.
      widths: channels of each level; each of the n levels halves the resolution.
      num_blocks: residual blocks a level.
      dtype: compute dtype of the networks; quantizers stay in float32.
    """

    y: Array
    quantizer: Quantizer = dataclasses.field(default_factory=VectorQuantizer)
    widths: tuple[int, ...] = (32, 64)
    num_blocks: int = 1
    dtype: str = "float32"

    learned = True

    def __post_init__(self):
        if not isinstance(self.y, Array) or len(self.y.shape) != 3:
            raise ValueError(
                f"needs images, an Array of height, width, channels, not {self.y}"
            )
        if not self.y.bounded:
            raise ValueError(f"needs an Array with bounds, not {self.y}")
        factor = 2 ** len(self.widths)
        if not self.widths or min(self.widths) < 1 or self.num_blocks < 0:
            raise ValueError(
                "widths must be one or more positive numbers and num_blocks 0 or more, "
                f"not {self.widths} and {self.num_blocks}"
            )
        if self.dtype not in ("float32", "bfloat16"):
            raise ValueError(
                f"dtype must be 'float32' or 'bfloat16', not {self.dtype!r}"
            )
        if any(n % factor for n in self.y.shape[:2]):
            raise ValueError(
                f"widths has {len(self.widths)} levels, which reduce the resolution "
                f"{factor} times, and {factor} does not divide {self.y.shape[:2]}"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width in codes."""
        return tuple(n // 2 ** len(self.widths) for n in self.y.shape[:2])

    @property
    def y_prime(self) -> Tokens:
        quantizer = self.quantizer
        return Tokens(math.prod(self.grid), quantizer.vocab, quantizer.depth)

    def init(self, rng: jax.Array, y: jax.Array) -> Variables:
        encoder_rng, decoder_rng, codebook_rng = jax.random.split(rng, 3)
        x = self.y.normalize(y)
        encoder = self._encoder.init(encoder_rng, x)["params"]
        latents = self._encoder.apply({"params": encoder}, x)
        decoder = self._decoder.init(decoder_rng, latents)["params"]
        flat = latents.reshape(-1, latents.shape[-1])
        return {
            "params": {"encoder": encoder, "decoder": decoder},
            "codebook": self.quantizer.init(codebook_rng, flat),
        }

    def encode(self, variables: Variables, y: jax.Array) -> jax.Array:
        codes = self.quantizer.encode(
            variables["codebook"], self._latents(variables, y)
        )
        return codes.reshape(y.shape[0], *self.y_prime.shape)

    def decode(self, variables: Variables, y_prime: jax.Array) -> jax.Array:
        codes = y_prime.reshape(-1, *self.grid, *self.y_prime.shape[1:])
        values = self.quantizer.decode(variables["codebook"], codes)
        return self.y.denormalize(self._image(variables, values))

    def loss(
        self, variables: Variables, keys: jax.Array, y: jax.Array, train: bool
    ) -> Objective:
        """Squared error in [-1, 1] plus the quantizer's own term."""
        latents = self._latents(variables, y)
        quantized = self.quantizer.quantize(
            variables["codebook"], keys, latents, train=train
        )
        image = self._image(variables, quantized.values)
        error = jnp.mean((image - self.y.normalize(y)) ** 2, axis=(1, 2, 3))
        return Objective(
            loss=error + quantized.loss,
            metrics={"reconstruction_loss": error, "quantizer_loss": quantized.loss},
            totals=quantized.totals,
            examples=quantized.examples,
        )

    def update(
        self, variables: Variables, rng: jax.Array, objective: Objective
    ) -> Variables:
        updated = self.quantizer.update(
            variables["codebook"], rng, objective.totals, objective.examples
        )
        return {**variables, "codebook": updated}

    def summarize(
        self, metrics: dict[str, float], totals: dict[str, Any]
    ) -> dict[str, float]:
        return {**metrics, **codebook.summary(totals["code_counts"])}

    @property
    def _encoder(self) -> Encoder:
        return Encoder(
            self.widths,
            self.quantizer.latent_dim,
            self.num_blocks,
            jnp.dtype(self.dtype),
        )

    @property
    def _decoder(self) -> Decoder:
        return Decoder(
            self.widths, self.y.shape[-1], self.num_blocks, jnp.dtype(self.dtype)
        )

    def _latents(self, variables: Variables, y: jax.Array) -> jax.Array:
        encoder = {"params": variables["params"]["encoder"]}
        return self._encoder.apply(encoder, self.y.normalize(y))

    def _image(self, variables: Variables, values: jax.Array) -> jax.Array:
        return self._decoder.apply({"params": variables["params"]["decoder"]}, values)
