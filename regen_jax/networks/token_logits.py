"""Masks, log-probabilities and accuracies of token logits."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp

from regen_jax.loss_output import masked_mean
from regen_jax.spaces import Tokens, length_mask, lengths


def mask_after_end(space: Tokens, tokens: jax.Array) -> jax.Array:
    """Returns tokens [B, *space.shape] with 0 after the end, whatever stood there."""
    if not space.padded:
        return tokens
    keep = length_mask(lengths(space, tokens), space.length)
    return jnp.where(keep if space.depth == 1 else keep[..., None], tokens, 0)


def loss_mask(space: Tokens, tokens: jax.Array) -> jax.Array | None:
    """Returns which predictions of tokens count, bool[B, *space.shape]; None for all.

    Those are the tokens before the end and, of the first level, the 0 that ends them,
    which a sequence of full length lacks.
    """
    if not space.padded:
        return None
    length = lengths(space, tokens)
    until_end = length_mask(length + 1, space.length)
    if space.depth == 1:
        return until_end
    before_end = length_mask(length, space.length)
    return jnp.stack([until_end] + [before_end] * (space.depth - 1), axis=-1)


def mask_invalid(space: Tokens, logits: jax.Array) -> jax.Array:
    """Returns logits [..., V], or [..., K, V], with -inf for what the space rules out.

    That is token 0 in the levels of a padded stack but the first, which alone ends it.
    """
    if space.depth == 1 or not space.padded:
        return logits
    level, token = jnp.indices(logits.shape[-2:], sparse=True)
    return jnp.where((level > 0) & (token == 0), -jnp.inf, logits)


def argmax_tokens(space: Tokens, logits: jax.Array) -> jax.Array:
    """Returns i32[B, *space.shape], the likeliest token of each position up to the end."""
    tokens = jnp.argmax(mask_invalid(space, logits), axis=-1).astype(jnp.int32)
    return mask_after_end(space, tokens)


def token_log_probs(logits: jax.Array, tokens: jax.Array) -> jax.Array:
    """Returns f32[...], the log-probability of tokens [...] under logits [..., V]."""
    log_probs = jax.nn.log_softmax(logits)
    return jnp.take_along_axis(log_probs, tokens[..., None], axis=-1)[..., 0]


def smoothed_log_probs(
    logits: jax.Array, tokens: jax.Array, smoothing: float
) -> jax.Array:
    """Returns `token_log_probs` with label smoothing, f32[...].

    The fraction `smoothing` of each is the mean of the log-probabilities of all tokens
    (Szegedy et al., arXiv 1512.00567, section 7), without those whose logit is -inf.
    """
    log_probs = token_log_probs(logits, tokens)
    if smoothing == 0:
        return log_probs
    possible = jnp.isfinite(logits)
    every = jnp.where(possible, jax.nn.log_softmax(logits), 0).sum(axis=-1)
    uniform = every / jnp.maximum(possible.sum(axis=-1), 1)
    return (1 - smoothing) * log_probs + smoothing * uniform


def token_weights(
    space: Tokens, tokens: jax.Array, names: Iterable[str] = ()
) -> dict[str, jax.Array]:
    """Returns `LossOutput.weights` by which means are over tokens, not over examples.

    They are f32[B] each, for `names` and the token accuracies: the number of `tokens`
    [B, *space.shape] in the loss mask. Empty for a space without padding, where all
    examples have as many.
    """
    mask = loss_mask(space, tokens)
    if mask is None:
        return {}
    number = mask.sum(axis=range(1, mask.ndim)).astype(jnp.float32)
    weights = dict.fromkeys([*names, "token_accuracy"], number)
    for level in range(space.depth if space.depth > 1 else 0):
        level_number = mask[..., level].sum(axis=1).astype(jnp.float32)
        weights[f"token_accuracy_{level + 1}"] = level_number
    return weights


def accuracies(
    space: Tokens, logits: jax.Array, tokens: jax.Array
) -> dict[str, jax.Array]:
    """Returns accuracies f32[B] of logits for tokens [B, *space.shape], by name.

    `token_accuracy` is the fraction of tokens in the loss mask that are the likeliest
    ones. For stacks there are `token_accuracy_1` and so on too, by level. Where the space
    is padded, `sequence_accuracy` is 1 where all tokens are right.
    """
    mask = loss_mask(space, tokens)
    hits = jnp.argmax(mask_invalid(space, logits), axis=-1) == tokens
    metrics = {"token_accuracy": masked_mean(hits, mask)}
    for level in range(space.depth if space.depth > 1 else 0):
        level_mask = None if mask is None else mask[..., level]
        accuracy = masked_mean(hits[..., level], level_mask)
        metrics[f"token_accuracy_{level + 1}"] = accuracy
    if mask is not None:
        right = jnp.all(hits | ~mask, axis=range(1, hits.ndim))
        metrics["sequence_accuracy"] = right.astype(jnp.float32)
    return metrics
