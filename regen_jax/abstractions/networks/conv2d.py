"""Convolutions between images and a grid of latents."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.abstractions.networks.interface import Networks
from regen_jax.networks.conv.conv2d import Decoder, Encoder
from regen_jax.ranges import Count, Dtype, Natural
from regen_jax.spaces import Array, Space


@dataclasses.dataclass(frozen=True)
class Conv2dNetworks(Networks):
    """Images [H, W, C] to latents [H / 2^n, W / 2^n]; see `regen_jax.networks.conv`.

    Attributes:
      widths: channels of each level; each of the n levels halves the resolution.
      num_blocks: residual blocks per level.
      dtype: compute dtype.
    """

    widths: tuple[Count, ...] = (32, 64)
    num_blocks: Natural = 1
    dtype: Dtype = "float32"

    def __post_init__(self):
        super().__post_init__()
        if not self.widths:
            raise ValueError("widths must be one number or more, not none")

    def check(self, space: Space) -> None:
        if not isinstance(space, Array) or len(space.shape) != 3:
            raise ValueError(
                f"networks 'conv2d' need images, an Array of height, width, channels, "
                f"not {space}"
            )
        if not space.bounded:
            raise ValueError(
                f"networks 'conv2d' need an Array with bounds, not {space}"
            )
        factor = 2 ** len(self.widths)
        if any(n % factor for n in space.shape[:2]):
            raise ValueError(
                f"widths has {len(self.widths)} levels, which reduce the resolution "
                f"{factor} times, and {factor} does not divide {space.shape[:2]}"
            )

    def latent_shape(self, space: Array) -> tuple[int, int]:
        height, width, _ = space.shape
        return height // 2 ** len(self.widths), width // 2 ** len(self.widths)

    def encoder(self, space: Array, latent_dim: int) -> Encoder:
        return Encoder(self.widths, latent_dim, self.num_blocks, jnp.dtype(self.dtype))

    def decoder(self, space: Array) -> Decoder:
        channels = space.shape[-1]
        return Decoder(self.widths, channels, self.num_blocks, jnp.dtype(self.dtype))

    def preprocess(self, space: Array, y: jax.Array) -> jax.Array:
        return space.normalize(y)

    def target(self, space: Array, y: jax.Array) -> jax.Array:
        """Returns y in [-1, 1]."""
        return space.normalize(y)

    def postprocess(
        self, space: Array, prediction: jax.Array, mask: jax.Array | None
    ) -> jax.Array:
        return space.denormalize(prediction)
