"""Connectionist temporal classification (Graves et al., ICML 2006); blank is token 0."""

import jax
import jax.numpy as jnp
import optax

from regen_jax.spaces import length_mask


def ctc_nats(
    logits_BxSxV: jax.Array,
    source_mask: jax.Array,
    target: jax.Array,
    length: jax.Array,
) -> jax.Array:
    """Computes -log p(target), summed over all alignments with the source: f32[B].

    Args:
      logits_BxSxV: at each vector of the source.
      source_mask: bool[B, S], the vectors that are not padding, which come first.
      target: labels i32[B, L], all above 0 before the length.
      length: i32[B].

    Returns:
      Nats; 0 where no alignment exists, since the labels, and the blanks that repeated
      ones need between them, outnumber the vectors.
    """
    label_mask = length_mask(length, target.shape[1])
    target = jnp.where(label_mask, target, 0)
    repeated = jnp.sum((target[:, 1:] == target[:, :-1]) & label_mask[:, 1:], axis=1)
    nats = optax.ctc_loss(
        logits_BxSxV, 1.0 - source_mask, target, 1.0 - label_mask, log_epsilon=-1e5
    )
    return jnp.where(length + repeated <= source_mask.sum(axis=1), nats, 0.0)
