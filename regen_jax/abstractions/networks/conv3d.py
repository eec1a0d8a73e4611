"""Causal convolutions between clips and a grid of latents."""

import dataclasses

import jax.numpy as jnp

from regen_jax.abstractions.networks.conv2d import Conv2dNetworks
from regen_jax.abstractions.networks.video_networks import VideoNetworks
from regen_jax.networks.conv.conv3d import (
    Decoder,
    Encoder,
    inflate_conv_decoder,
    inflate_conv_encoder,
)
from regen_jax.networks.layer_stack import Params
from regen_jax.spaces import Array


@dataclasses.dataclass(frozen=True)
class Conv3dNetworks(VideoNetworks, Conv2dNetworks):
    """Clips [T, H, W, C] to latents [T / 2^m, H / 2^n, W / 2^n], causal in time.

    See `regen_jax.networks.conv.conv3d`, and for other numbers of frames `VideoNetworks`.

    Attributes:
      temporal: of each level, whether it also halves the frame rate; m of the n levels do.
        Early levels have the most pixels: where they do, a step costs less than half.
    """

    temporal: tuple[bool, ...] = (True, True)

    def __post_init__(self):
        super().__post_init__()
        if len(self.temporal) != len(self.widths):
            raise ValueError(
                f"temporal must be {len(self.widths)} of True and False, one for each of "
                f"widths, not {self.temporal}"
            )

    image_networks = Conv2dNetworks

    @property
    def frames_per_latent(self) -> int:
        return 2 ** sum(self.temporal)

    def latent_shape(self, space: Array) -> tuple[int, ...]:
        return self.num_latent_frames(space), *super().latent_shape(space)

    def encoder(self, space: Array, latent_dim: int) -> Encoder:
        return Encoder(
            self.widths,
            latent_dim,
            self.temporal,
            self.num_blocks,
            jnp.dtype(self.dtype),
            self.norm,
            self.downsample,
        )

    def decoder(self, space: Array) -> Decoder:
        return Decoder(
            self.widths,
            space.shape[-1],
            self.temporal,
            self.num_blocks,
            jnp.dtype(self.dtype),
            self.norm,
            self.skip(space),
        )

    def inflate(self, space: Array, params: Params) -> Params:
        folds = self.downsample == "fold"
        return {
            "encoder": inflate_conv_encoder(params["encoder"], self.temporal, folds),
            "decoder": inflate_conv_decoder(params["decoder"], self.temporal),
        }
