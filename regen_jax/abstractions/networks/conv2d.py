"""Convolutions between images and a grid of latents."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp

from regen_jax.abstractions.networks.image_networks import ImageNetworks
from regen_jax.networks.conv.conv2d import Decoder, Downsample, Encoder, Norm
from regen_jax.ranges import Counts, Dtype, Natural
from regen_jax.spaces import Array, Space


@dataclasses.dataclass(frozen=True)
class Conv2dNetworks(ImageNetworks):
    """Images [H, W, C] to latents [H / 2^n, W / 2^n]; see `regen_jax.networks.conv`.

    Attributes:
      widths: channels of each level; each of the n levels halves the resolution.
      num_blocks: residual blocks per level.
      dtype: compute dtype.
      norm: over the channels of a position (`layer`), or over an image in groups of
        channels (`group`).
      downsample: how the encoder halves the resolution: `fold` folds 2 x 2 pixels into
        channels before a convolution, `stride` strides over them.
    """

    widths: Counts = (32, 64)
    num_blocks: Natural = 1
    dtype: Dtype = "float32"
    norm: Norm = "layer"
    downsample: Downsample = "fold"

    def check(self, space: Space) -> None:
        super().check(space)
        factor = 2 ** len(self.widths)
        if any(n % factor for n in space.shape[-3:-1]):
            raise ValueError(
                f"widths has {len(self.widths)} levels, which reduce the resolution "
                f"{factor} times, and {factor} does not divide {space.shape[-3:-1]}"
            )

    def latent_shape(self, space: Array) -> tuple[int, ...]:
        height, width, _ = space.shape[-3:]
        return height // 2 ** len(self.widths), width // 2 ** len(self.widths)

    def encoder(self, space: Array, latent_dim: int) -> nn.Module:
        return Encoder(
            self.widths,
            latent_dim,
            self.num_blocks,
            jnp.dtype(self.dtype),
            self.norm,
            self.downsample,
        )

    def decoder(self, space: Array) -> nn.Module:
        dtype = jnp.dtype(self.dtype)
        return Decoder(self.widths, space.shape[-1], self.num_blocks, dtype, self.norm)

    @property
    def last_layer(self) -> tuple[str, ...]:
        return f"Conv_{len(self.widths)}", "kernel"
