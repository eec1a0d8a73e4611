"""From logits to a sampled token: guidance, temperature, top-k and top-p."""

import jax
import jax.numpy as jnp


def classifier_free_guidance(
    conditional: jax.Array, unconditional: jax.Array, guidance: float | jax.Array
) -> jax.Array:
    """Extrapolates from the unconditional prediction to the conditional one and beyond.

    Ho and Salimans, arXiv 2207.12598, equation 6 with guidance = 1 + w: 1 gives the
    conditional prediction, 0 the unconditional one.
    """
    return unconditional + guidance * (conditional - unconditional)


def filter_top_k_top_p(logits: jax.Array, top_k: int, top_p: float) -> jax.Array:
    """Sets logits [..., V] outside top-k (0: all) and the top-p nucleus (1: all) to -inf.

    Top-p keeps the fewest likeliest tokens whose probabilities sum to at least p
    (Holtzman et al., arXiv 1904.09751). Of equally likely tokens all are kept or none.
    """
    if 0 < top_k < logits.shape[-1]:
        lowest = jax.lax.top_k(logits, top_k)[0][..., -1:]
        logits = jnp.where(logits < lowest, -jnp.inf, logits)
    if top_p < 1:
        ordered = jnp.sort(logits, axis=-1, descending=True)
        probs = jax.nn.softmax(ordered)
        before = jnp.cumsum(probs, axis=-1) - probs
        lowest = jnp.min(jnp.where(before < top_p, ordered, jnp.inf), -1, keepdims=True)
        logits = jnp.where(logits < lowest, -jnp.inf, logits)
    return logits


def sample_token(
    keys: jax.Array,
    logits: jax.Array,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    penalties: jax.Array | float = 0.0,
) -> jax.Array:
    """Samples a token from each row of logits; temperature 0 takes the likeliest one.

    Args:
      keys: one per example.
      logits: f32[B, ..., V], of each token.
      temperature: divides the logits.
      top_k: how many of the likeliest tokens are sampled from; 0 for all.
      top_p: sum of the probabilities of the tokens that are sampled from.
      penalties: f32[B, ..., V] in nats at any temperature: tempered probabilities are
        multiplied by exp(-penalty), and top-k and top-p choose among the products.

    Returns:
      i32[B, ...].
    """
    if temperature == 0:
        return jnp.argmax(logits - penalties, axis=-1).astype(jnp.int32)
    # Relative to the highest logit, so that no temperature makes one infinite.
    lowest = jnp.finfo(logits.dtype).min
    highest = jnp.max(logits, axis=-1, keepdims=True, initial=lowest)
    tempered = (logits - highest) / temperature
    logits = filter_top_k_top_p(tempered - penalties, top_k, top_p)
    return jax.vmap(jax.random.categorical)(keys, logits).astype(jnp.int32)
