"""Connectionist temporal classification (Graves et al., ICML 2006): blank is token 0."""

import jax
import jax.numpy as jnp
import optax

from regen_jax.spaces import length_mask


def ctc_nats(
    logits_BxSxV: jax.Array, seen: jax.Array, target: jax.Array, length: jax.Array
) -> jax.Array:
    """-log p(b) over all alignments with the vectors of a source, in nats: f32[B].

    Args:
      logits_BxSxV: at each vector of the source.
      seen: bool[B, S], the vectors that count, which come first.
      b: labels i32[B, L], all above 0 before the length.
      length: i32[B].

    Returns:
      The nats; 0 where no alignment exists, since the labels, and the blanks that repeated
      ones need between them, are more than the vectors.
    """
    labelled = length_mask(length, target.shape[1])
    target = jnp.where(labelled, target, 0)
    repeated = jnp.sum((target[:, 1:] == target[:, :-1]) & labelled[:, 1:], axis=1)
    nats = optax.ctc_loss(
        logits_BxSxV, 1.0 - seen, target, 1.0 - labelled, log_epsilon=-1e5
    )
    return jnp.where(length + repeated <= seen.sum(axis=1), nats, 0.0)
