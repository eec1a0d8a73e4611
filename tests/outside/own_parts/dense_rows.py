"""Networks of an autoencoder."""

import dataclasses

import flax.linen as nn
import jax

from regen_jax.abstractions.networks.interface import Networks
from regen_jax.spaces import Array, Space


@dataclasses.dataclass(frozen=True)
class DenseRows(Networks):
    """Each row of an image [H, W, 1] as one latent, by a linear layer."""

    def check(self, space: Space) -> None:
        if not isinstance(space, Array) or space.shape[2:] != (1,):
            raise ValueError(f"networks 'dense_rows' need gray images, not {space}")

    def latent_shape(self, space: Array) -> tuple[int]:
        return space.shape[:1]

    def encoder(self, space: Array, latent_dim: int) -> nn.Module:
        return nn.Dense(latent_dim)

    def decoder(self, space: Array) -> nn.Module:
        return nn.Dense(space.shape[1])

    def preprocess(self, space: Array, y: jax.Array) -> jax.Array:
        return y[..., 0]

    def target(self, space: Array, y: jax.Array) -> jax.Array:
        return y[..., 0]

    def postprocess(self, space: Array, prediction: jax.Array, mask: None) -> jax.Array:
        return prediction[..., None].clip(space.low, space.high)
