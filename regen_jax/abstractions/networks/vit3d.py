"""Transformers, factorized into space and time, between clips and a grid of latents."""

import dataclasses

from regen_jax.abstractions.networks.video_networks import VideoNetworks
from regen_jax.abstractions.networks.vit import VitNetworks
from regen_jax.networks.layer_stack import Params
from regen_jax.networks.vit3d import (
    SpaceTimeTransformer,
    inflate_vit_decoder,
    inflate_vit_encoder,
)
from regen_jax.ranges import Count
from regen_jax.spaces import Array


@dataclasses.dataclass(frozen=True)
class Vit3dNetworks(VideoNetworks, VitNetworks):
    """Clips [T, H, W, C] to latents [T / patch_time, H / patch, W / patch].

    See `regen_jax.networks.vit3d`, and for other numbers of frames `VideoNetworks`.

    Attributes:
      patch_time: frames of a patch, which is one latent.
      causal: whether latents, and frames from latents, depend on no later ones.
    """

    patch_time: Count = 4
    causal: bool = True

    image_networks = VitNetworks

    @property
    def frames_per_latent(self) -> int:
        return self.patch_time

    @property
    def patch_sizes(self) -> tuple[int, ...]:
        return self.patch_time, *super().patch_sizes

    def latent_shape(self, space: Array) -> tuple[int, ...]:
        return self.num_latent_frames(space), *super().latent_shape(space)

    def transformer(self, space: Array) -> SpaceTimeTransformer:
        grid = self.latent_shape(space)
        return SpaceTimeTransformer(grid, self, self.remat, self.causal)

    def inflate(self, space: Array, params: Params) -> Params:
        num_frames, frames = self.num_latent_frames(space), self.patch_time
        return {
            "encoder": inflate_vit_encoder(params["encoder"], num_frames, frames),
            "decoder": inflate_vit_decoder(params["decoder"], num_frames, frames),
        }
