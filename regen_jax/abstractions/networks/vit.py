"""Vision transformers between images and a grid of latents."""

import dataclasses

from regen_jax.abstractions.networks.image_networks import ImageNetworks
from regen_jax.networks.dit import check_patch
from regen_jax.networks.frames import frame_space
from regen_jax.networks.transformer_options import TransformerShape
from regen_jax.networks.vit import Decoder, Encoder, GridTransformer
from regen_jax.ranges import Count, Remat
from regen_jax.spaces import Array, Space


@dataclasses.dataclass(frozen=True)
class VitNetworks(TransformerShape, ImageNetworks):
    """Images [H, W, C] to latents [H / patch, W / patch]; see `regen_jax.networks.vit`.

    Attributes:
      patch: side of the patches that are one latent each.
      remat: which activations of each block the backward pass recomputes.
    """

    patch: Count = 4
    remat: Remat = "none"

    def check(self, space: Space) -> None:
        super().check(space)
        check_patch(self.patch, frame_space(space))

    def latent_shape(self, space: Array) -> tuple[int, ...]:
        height, width, _ = space.shape[-3:]
        return height // self.patch, width // self.patch

    def encoder(self, space: Array, latent_dim: int) -> Encoder:
        return Encoder(self.patch_sizes, latent_dim, self.transformer(space))

    def decoder(self, space: Array) -> Decoder:
        return Decoder(self.patch_sizes, space.shape, self.transformer(space))

    @property
    def last_layer(self) -> tuple[str, ...]:
        return "head", "kernel"

    @property
    def patch_sizes(self) -> tuple[int, ...]:
        """Size of a patch on each axis but the channel."""
        return self.patch, self.patch

    def transformer(self, space: Array) -> GridTransformer:
        return GridTransformer(self.latent_shape(space), self, self.remat)
