"""Pictures as a few vectors: a field of a `Record` beside others."""

import math
from typing import TypeGuard

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.conv.conv2d import Encoder
from regen_jax.spaces import Array, Space

_GRID = 8
"""Side of the largest grid of vectors."""


def is_picture(space: Space) -> TypeGuard[Array]:
    """Returns whether values are pictures [H, W, C] of more than 8 rows or columns."""
    return (
        isinstance(space, Array)
        and len(space.shape) == 3
        and not space.padded
        and max(space.shape[:2]) > _GRID
    )


def picture_length(space: Array) -> int:
    """Returns the number of vectors that `PictureEmbedding` makes of a picture."""
    return math.prod(-(-side // 2 ** _levels(space)) for side in space.shape[:2])


class PictureEmbedding(nn.Module):
    """Reduces pictures [B, *space.shape] to a grid of at most 8 x 8, [B, N, width].

    A level halves the resolution by a convolution over 2 x 2 pixels folded into channels;
    sides that do not halve often enough are filled up with zeros.
    """

    space: Array
    width: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, pictures: jax.Array) -> jax.Array:
        levels = _levels(self.space)
        x = self.space.normalize(pictures)
        missing = [-side % 2**levels for side in self.space.shape[:2]]
        x = jnp.pad(x, ((0, 0), *((0, n) for n in missing), (0, 0)))
        widths = [max(self.width >> (levels - 1 - i), 8) for i in range(levels)]
        encoder = Encoder(
            tuple(widths), self.width, num_blocks=0, dtype=self.dtype, name="encoder"
        )
        return encoder(x).reshape(x.shape[0], -1, self.width)


def _levels(space: Array) -> int:
    return math.ceil(math.log2(max(space.shape[:2]) / _GRID))
