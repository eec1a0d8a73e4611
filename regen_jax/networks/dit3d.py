"""A diffusion transformer of clips whose attention is factorized into space and time.

The blocks of `dit` with attention within each frame, then over time at each position, as
those of `vit3d`; for diffusion, Ma et al., "Latte" (arXiv 2401.03048), section 3.1, variant
3. Of t frames of n patches, attention costs t n (t + n) in place of (t n)².
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.attention import MLP, SelfAttention
from regen_jax.networks.dit import DiT, DiTOptions, gated_residual, modulation
from regen_jax.networks.embeddings import dropout
from regen_jax.networks.layer_stack import Layer
from regen_jax.networks.vit3d import over_time
from regen_jax.spaces import Array


class SpaceTimeBlock(nn.Module):
    """Attention within each frame and to the tokens, attention over time, and an MLP.

    Attributes:
      grid: numbers (t, h, w) of the patches, which are the last vectors of a sequence.
    """

    grid: tuple[int, int, int]
    num_heads: int
    mlp_ratio: float
    dropout: float
    dtype: jnp.dtype

    @nn.compact
    def __call__(
        self,
        x_BxLxW: jax.Array,
        layer: Layer,
        vector_BxW: jax.Array,
        keys: jax.Array | None,
        mask: jax.Array | None,
    ) -> tuple[jax.Array, None]:
        """Maps tokens and patches [B, S + t h w, W] to the same; see `dit.Block`."""
        frames, num_patches = self.grid[0], math.prod(self.grid)
        num_tokens = x_BxLxW.shape[1] - num_patches
        modulations = modulation(vector_BxW, 9, self.dtype)
        space, time = (
            SelfAttention(self.num_heads, self.dtype, name=name)
            for name in ("space", "time")
        )
        mlp = MLP(x_BxLxW.shape[-1], self.mlp_ratio, self.dtype, name="mlp")

        def drop(y: jax.Array, number: int) -> jax.Array:
            return dropout(y, keys, self.dropout, 3 * layer.index + number)

        def within_frames(y: jax.Array) -> jax.Array:
            tokens, patches = y[:, :num_tokens], y[:, num_tokens:]
            patches = patches.reshape(-1, num_patches // frames, y.shape[-1])
            y = jnp.concatenate([jnp.repeat(tokens, frames, axis=0), patches], axis=1)
            seen = None if mask is None else mask[..., : y.shape[1]]
            seen = None if seen is None else jnp.repeat(seen, frames, axis=0)
            y = space(y, seen)[0].reshape(-1, frames, *y.shape[1:])
            # Each frame has its own reading of the tokens.
            tokens, patches = y[:, :, :num_tokens].mean(axis=1), y[:, :, num_tokens:]
            patches = patches.reshape(-1, num_patches, y.shape[-1])
            return drop(jnp.concatenate([tokens, patches], axis=1), 0)

        def between_frames(y: jax.Array) -> jax.Array:
            return drop(over_time(lambda x: time(x)[0], y, frames), 1)

        x = gated_residual(x_BxLxW, modulations[:3], within_frames)
        tokens, patches = x[:, :num_tokens], x[:, num_tokens:]
        patches = gated_residual(patches, modulations[3:6], between_frames)
        x = jnp.concatenate([tokens, patches], axis=1)
        return gated_residual(x, modulations[6:], lambda y: drop(mlp(y), 2)), None


class SpaceTimeDiT(DiT):
    """A `DiT` of clips [T, H, W, C] with the blocks above."""

    def block(self, grid: tuple[int, ...]) -> Callable[..., nn.Module]:
        return functools.partial(
            SpaceTimeBlock,
            grid,
            self.num_heads,
            self.mlp_ratio,
            self.dropout,
            self.dtype,
        )


@dataclasses.dataclass(frozen=True)
class SpaceTimeDiTOptions(DiTOptions):
    """Options of a `DiT` of clips [T, H, W, C], whose attention is factorized."""

    network = SpaceTimeDiT

    def module(self, target_space: Array) -> DiT:
        if len(target_space.shape) != 4:
            raise ValueError(
                "network 'dit3d' needs a target of frames, height, width and channels, not "
                f"{target_space}: use 'dit'"
            )
        return super().module(target_space)
