"""A learned abstraction of images: the codes of a quantized autoencoder."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax import ranges
from regen_jax.abstractions.bottlenecks.interface import Quantizer
from regen_jax.abstractions.bottlenecks.vq import VectorQuantizer
from regen_jax.abstractions.quantized import QuantizedAutoencoder
from regen_jax.networks.conv.conv2d import Decoder, Encoder
from regen_jax.ranges import Count, Natural
from regen_jax.spaces import Array


@dataclasses.dataclass(frozen=True)
class Autoencoder(QuantizedAutoencoder):
    """Images to a grid of codes in raster order, at 1 / 2^n of the resolution.

    Attributes:
      y: the space of images, bounded, [H, W, C].
      quantizer: makes codes of the encoder's latents.
      widths: channels of each level; each of the n levels halves the resolution.
      num_blocks: residual blocks a level.
      dtype: compute dtype of the networks; quantizers stay in float32.
    """

    input_space: Array
    quantizer: Quantizer = dataclasses.field(default_factory=VectorQuantizer)
    widths: tuple[Count, ...] = (32, 64)
    num_blocks: Natural = 1
    dtype: str = "float32"

    def __post_init__(self):
        ranges.check(self)
        if not isinstance(self.input_space, Array) or len(self.input_space.shape) != 3:
            raise ValueError(
                f"needs images, an Array of height, width, channels, not {self.input_space}"
            )
        if not self.input_space.bounded:
            raise ValueError(f"needs an Array with bounds, not {self.input_space}")
        factor = 2 ** len(self.widths)
        if not self.widths:
            raise ValueError("widths must be one number or more, not none")
        if self.dtype not in ("float32", "bfloat16"):
            raise ValueError(
                f"dtype must be 'float32' or 'bfloat16', not {self.dtype!r}"
            )
        if any(n % factor for n in self.input_space.shape[:2]):
            raise ValueError(
                f"widths has {len(self.widths)} levels, which reduce the resolution "
                f"{factor} times, and {factor} does not divide {self.input_space.shape[:2]}"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width in codes."""
        return tuple(n // 2 ** len(self.widths) for n in self.input_space.shape[:2])

    @property
    def encoder(self) -> Encoder:
        return Encoder(
            self.widths,
            self.quantizer.latent_dim,
            self.num_blocks,
            jnp.dtype(self.dtype),
        )

    @property
    def decoder(self) -> Decoder:
        return Decoder(
            self.widths,
            self.input_space.shape[-1],
            self.num_blocks,
            jnp.dtype(self.dtype),
        )

    def preprocess(self, y: jax.Array) -> jax.Array:
        return self.input_space.normalize(y)

    def postprocess(self, prediction: jax.Array) -> jax.Array:
        return self.input_space.denormalize(prediction)

    def reconstruction_loss(
        self, prediction: jax.Array, y: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Squared error in [-1, 1], a mean over pixels and channels."""
        error = prediction - self.input_space.normalize(y)
        return jnp.mean(error**2, axis=(1, 2, 3)), {}
