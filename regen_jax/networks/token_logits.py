"""Logits of the tokens of a space: which can be, which count, and how right they are."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp

from regen_jax.spaces import Tokens, length_mask, lengths


def ended(space: Tokens, tokens: jax.Array) -> jax.Array:
    """Tokens [B, *space.shape] with 0 behind their end, whatever stood there."""
    if not space.padded:
        return tokens
    keep = length_mask(lengths(space, tokens), space.length)
    return jnp.where(keep if space.depth == 1 else keep[..., None], tokens, 0)


def counted(space: Tokens, tokens: jax.Array) -> jax.Array | None:
    """bool, the shape of tokens [B, *space.shape]: those whose prediction counts.

    These are the tokens before the end and, of the first level, the 0 that ends them,
    which a sequence of full length lacks. None where the space is not padded.
    """
    if not space.padded:
        return None
    length = lengths(space, tokens)
    until_end = length_mask(length + 1, space.length)
    if space.depth == 1:
        return until_end
    before_end = length_mask(length, space.length)
    return jnp.stack([until_end] + [before_end] * (space.depth - 1), axis=-1)


def possible(space: Tokens, logits: jax.Array) -> jax.Array:
    """Logits [..., V], or [..., K, V] of a stack, with -inf for what the space rules out.

    That is 0 in the levels of a padded stack but the first, which alone ends it.
    """
    if space.depth == 1 or not space.padded:
        return logits
    level, token = jnp.indices(logits.shape[-2:], sparse=True)
    return jnp.where((level > 0) & (token == 0), -jnp.inf, logits)


def likeliest(space: Tokens, logits: jax.Array) -> jax.Array:
    """i32[B, *space.shape]: the likeliest token of each, up to the first end."""
    tokens = jnp.argmax(possible(space, logits), axis=-1).astype(jnp.int32)
    return ended(space, tokens)


def token_log_probs(logits: jax.Array, tokens: jax.Array) -> jax.Array:
    """f32[...]: log-probability of each token [...] under its logits [..., V]."""
    log_probs = jax.nn.log_softmax(logits)
    return jnp.take_along_axis(log_probs, tokens[..., None], axis=-1)[..., 0]


def mean_counted(x: jax.Array, counts: jax.Array | None) -> jax.Array:
    """Returns f32[B], the mean of x [B, ...] where `counts`; over all if that is None.

    The mean of nothing is 0.
    """
    axes = tuple(range(1, x.ndim))
    if counts is None:
        return x.mean(axis=axes)
    return jnp.where(counts, x, 0).sum(axes) / jnp.maximum(counts.sum(axes), 1)


def token_weights(
    space: Tokens, tokens: jax.Array, names: Iterable[str] = ()
) -> dict[str, jax.Array]:
    """Returns `LossOutput.weights` by which means are over tokens, not over examples.

    They are f32[B] each, for `names` and the token accuracies: the number of `tokens`
    [B, *space.shape] that are not padding. Empty for a space without padding, where all
    examples have as many.
    """
    counts = counted(space, tokens)
    if counts is None:
        return {}
    number = counts.sum(axis=range(1, counts.ndim)).astype(jnp.float32)
    weights = dict.fromkeys([*names, "token_accuracy"], number)
    for level in range(space.depth if space.depth > 1 else 0):
        of_level = counts[..., level].sum(axis=1).astype(jnp.float32)
        weights[f"token_accuracy_{level + 1}"] = of_level
    return weights


def accuracies(
    space: Tokens, logits: jax.Array, tokens: jax.Array
) -> dict[str, jax.Array]:
    """`token_accuracy`, the share of tokens [B, *space.shape] that are likeliest.

    Of a stack there is `token_accuracy_1` too, and so on, of each level. Where the space
    is padded, `sequence_accuracy` is 1 where all tokens are right. All are f32[B], of the
    tokens that count.
    """
    counts = counted(space, tokens)
    hits = jnp.argmax(possible(space, logits), axis=-1) == tokens
    figures = {"token_accuracy": mean_counted(hits, counts)}
    for level in range(space.depth if space.depth > 1 else 0):
        of_level = None if counts is None else counts[..., level]
        found = mean_counted(hits[..., level], of_level)
        figures[f"token_accuracy_{level + 1}"] = found
    if counts is not None:
        right = jnp.all(hits | ~counts, axis=range(1, hits.ndim))
        figures["sequence_accuracy"] = right.astype(jnp.float32)
    return figures
