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
from regen_jax.networks.dit import Block, Branch, DiT, DiTOptions
from regen_jax.networks.vit3d import over_time
from regen_jax.spaces import Array


class DiTSpaceTimeBlock(Block):
    """Attention within each frame and to the tokens, attention over time, and an MLP.

    Attributes:
      grid: numbers (t, h, w) of the patches, which are the last vectors of a sequence.
    """

    grid: tuple[int, int, int]

    def branches(self, width: int, mask: jax.Array | None) -> list[Branch]:
        frames, num_patches = self.grid[0], math.prod(self.grid)
        space, time = (
            SelfAttention(self.num_heads, self.dtype, name=name)
            for name in ("space", "time")
        )

        def split(y: jax.Array) -> tuple[jax.Array, jax.Array]:
            return y[:, :-num_patches], y[:, -num_patches:]

        # [B, frames]: which frames are no padding.
        valid = None
        if mask is not None:
            valid = mask[:, 0, 0, -num_patches :: num_patches // frames]

        def within_frames(y: jax.Array) -> jax.Array:
            tokens, patches = split(y)
            patches = patches.reshape(-1, num_patches // frames, width)
            y = jnp.concatenate([jnp.repeat(tokens, frames, axis=0), patches], axis=1)
            seen = None
            if mask is not None:
                seen = jnp.repeat(mask[..., : y.shape[1]], frames, axis=0)
            y = space(y, seen)[0].reshape(-1, frames, y.shape[1], width)
            # Each frame reads the tokens in its own way, and they read each frame.
            patches = y[:, :, tokens.shape[1] :].reshape(-1, num_patches, width)
            weights = None if valid is None else valid[:, :, None, None]
            tokens = jnp.mean(y[:, :, : tokens.shape[1]], axis=1, where=weights)
            return jnp.concatenate([tokens, patches], axis=1)

        def between_frames(y: jax.Array) -> jax.Array:
            tokens, patches = split(y)
            seen = None
            if valid is not None:
                seen = jnp.repeat(valid, num_patches // frames, axis=0)[:, None, None]
            patches = over_time(lambda x: time(x, seen)[0], patches, frames)
            return jnp.concatenate([jnp.zeros_like(tokens), patches], axis=1)

        mlp = MLP(width, self.mlp_ratio, self.dtype, name="mlp")
        return [within_frames, between_frames, mlp]


class SpaceTimeDiT(DiT):
    """A `DiT` of clips [T, H, W, C] with the blocks above."""

    def block(self, grid: tuple[int, ...]) -> Callable[..., nn.Module]:
        return functools.partial(
            DiTSpaceTimeBlock,
            self.num_heads,
            self.mlp_ratio,
            self.dropout,
            self.dtype,
            grid,
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
