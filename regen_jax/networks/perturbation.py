"""Imperfect values of any space, as generators meet them in sampling."""

import jax
import jax.numpy as jnp

from regen_jax.networks.token_logits import mask_after_end
from regen_jax.random import fold_keys
from regen_jax.spaces import (
    Array,
    Category,
    Padded,
    Record,
    Space,
    Tokens,
    Value,
    length_mask,
    lengths,
)

# What an example's key is folded with: no number of a layer or of a step.
_TOKENS, _GAUSSIAN, _KEPT, _SOURCE = 0x70657274, 0x70657275, 0x70657276, 0x70657277


def add_noise(space: Space, keys: jax.Array, value: Value, level: float) -> Value:
    """Returns a batch of values with noise; padding and lengths stay as they are.

    Of the same keys, it replaces other tokens than `replace_tokens` does: a stage calls
    this for the source of a generator, and the generator that for its target.

    Args:
      space: of the values.
      keys: one per example.
      value: [B, *space.shape].
      level: of an Array, the highest standard deviation of Gaussian noise, in units of the
        normalized space: an example's is uniform between 0 and it (Ho et al., arXiv
        2106.15282). Otherwise the probability of `replace_tokens`.
    """
    if isinstance(space, Array):
        return _add_gaussian(space, keys, value, level)
    return replace_tokens(space, fold_keys(keys, _SOURCE), value, level)


def check_noise(space: Space, level: float, name: str) -> None:
    """Raises a ValueError where a level of `add_noise` does not suit the space."""
    if isinstance(space, Record) and level:
        raise ValueError(
            f"{name} must be 0, not {level}: fields of {space} that a prior copies have "
            "no noise"
        )
    if not isinstance(space, Array) and level > 1:
        raise ValueError(
            f"{name} must be at most 1, not {level}: of {space} it is a probability"
        )


def replace_tokens(
    space: Category | Tokens, keys: jax.Array, tokens: jax.Array, probability: float
) -> jax.Array:
    """Replaces each token with a probability by a uniform one: i32[B, *space.shape].

    Sequences keep their lengths: padding stays, and no token before it becomes 0.
    """
    padded = isinstance(space, Tokens) and space.padded
    size = space.size if isinstance(space, Category) else space.vocab

    def draw(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        which, ids = jax.random.split(key)
        return (
            jax.random.bernoulli(which, probability, space.shape),
            jax.random.randint(ids, space.shape, int(padded), size, jnp.int32),
        )

    replaced, uniform = jax.vmap(draw)(fold_keys(keys, _TOKENS))
    if isinstance(space, Tokens):
        replaced &= _before_end(space, tokens)
    return jnp.where(replaced, uniform, tokens)


def kept_positions(space: Space, keys: jax.Array, fraction: float) -> jax.Array:
    """Draws positions bool[B, ...], each with probability `fraction`, for `replace_kept`.

    A position is that of a stack of tokens or of the channels of an Array.
    """
    shape = space.shape[:1] if isinstance(space, Tokens) else space.shape[:-1]

    def draw(key: jax.Array) -> jax.Array:
        return jax.random.bernoulli(key, fraction, shape)

    return jax.vmap(draw)(fold_keys(keys, _KEPT))


def replace_kept(space: Space, kept: jax.Array, target: Value, other: Value) -> Value:
    """Returns `other` [B, *space.shape] with the values of `target` where they are kept.

    Padded Arrays have the length of `other`; Tokens end at the first padding of the result.

    Args:
      space: of both.
      kept: as `kept_positions` returns it.
      target: [B, *space.shape].
      other: likewise.
    """
    values, length = other, None
    if isinstance(other, Padded):
        values, length = other
        both = length_mask(jnp.minimum(length, target.length), space.shape[0])
        kept &= both.reshape(*both.shape, *[1] * (kept.ndim - 2))
        target = target.values
    kept = kept.reshape(*kept.shape, *[1] * (values.ndim - kept.ndim))
    mixed = jnp.where(kept, target, values)
    if length is not None:
        return Padded(mixed, length)
    return mask_after_end(space, mixed) if isinstance(space, Tokens) else mixed


def _add_gaussian(space: Array, keys: jax.Array, value: Value, level: float) -> Value:
    values = value.values if isinstance(value, Padded) else value

    def draw(key: jax.Array) -> jax.Array:
        deviation, noise = jax.random.split(key)
        return jax.random.uniform(deviation, maxval=level) * jax.random.normal(
            noise, space.shape
        )

    noise = jax.vmap(draw)(fold_keys(keys, _GAUSSIAN))
    noisy = space.denormalize(space.normalize(values) + noise)
    if not isinstance(value, Padded):
        return noisy
    mask = length_mask(value.length, space.shape[0])
    mask = mask.reshape(*mask.shape, *[1] * (noisy.ndim - mask.ndim))
    return Padded(jnp.where(mask, noisy, 0), value.length)


def _before_end(space: Tokens, tokens: jax.Array) -> jax.Array:
    """Returns bool[B, L], or [B, L, 1] of stacks: whether a position is no padding."""
    mask = length_mask(lengths(space, tokens), space.length)
    return mask if space.depth == 1 else mask[..., None]
