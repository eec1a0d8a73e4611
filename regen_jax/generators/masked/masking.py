"""Training: which tokens of each example are masked."""

import jax
import jax.numpy as jnp

from regen_jax.generators.masked.interfaces import MaskSchedule
from regen_jax.generators.masked.unmasking import descending_ranks
from regen_jax.random import fold_keys
from regen_jax.spaces import Tokens

# What an example's key is folded with; `source_dropouts` takes 0.
_PROGRESS, _MASK = 1, 2


def draw_masks(schedule: MaskSchedule, space: Tokens, keys: jax.Array) -> jax.Array:
    """Draws which tokens of each example are masked, bool[B, *space.shape].

    At least one is. Their number is that of the schedule, rounded up, at a uniform progress
    (Chang et al., arXiv 2202.04200, section 3.1).
    """
    shape, number = space.shape, space.length * space.depth
    progress = jax.vmap(jax.random.uniform)(fold_keys(keys, _PROGRESS))
    count = jnp.ceil(number * schedule.masked_fraction(progress))
    count = jnp.clip(count, 1, number).reshape(-1, *[1] * len(shape))

    def draw(key: jax.Array) -> jax.Array:
        return jax.random.uniform(key, shape)

    return descending_ranks(jax.vmap(draw)(fold_keys(keys, _MASK))) < count
