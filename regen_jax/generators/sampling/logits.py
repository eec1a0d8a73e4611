"""From logits to a drawn token: guidance, temperature, top-k and top-p."""

import jax
import jax.numpy as jnp


def guide(with_source: jax.Array, without: jax.Array, guidance: float) -> jax.Array:
    """Classifier-free guidance (arXiv 2207.12598, equation 6 with guidance = 1 + w).

    1 leaves the conditional prediction as it is, 0 gives the unconditional one.
    """
    return without + guidance * (with_source - without)


def restrict(logits_BxV: jax.Array, top_k: int, top_p: float) -> jax.Array:
    """Sets the logits outside top-k (0: all) and the top-p nucleus (1: all) to -inf.

    Top-p keeps the fewest likeliest tokens whose probabilities sum to at least p
    (Holtzman et al., arXiv 1904.09751). Of equally likely tokens all stay or none.
    """
    if 0 < top_k < logits_BxV.shape[-1]:
        least = jax.lax.top_k(logits_BxV, top_k)[0][..., -1:]
        logits_BxV = jnp.where(logits_BxV < least, -jnp.inf, logits_BxV)
    if top_p < 1:
        ordered = jnp.sort(logits_BxV, axis=-1, descending=True)
        probabilities = jax.nn.softmax(ordered)
        before = jnp.cumsum(probabilities, axis=-1) - probabilities
        least = jnp.min(jnp.where(before < top_p, ordered, jnp.inf), -1, keepdims=True)
        logits_BxV = jnp.where(logits_BxV < least, -jnp.inf, logits_BxV)
    return logits_BxV


def draw(
    keys: jax.Array,
    logits_BxV: jax.Array,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    penalties_BxV: jax.Array | float = 0.0,
) -> jax.Array:
    """Returns one token per example, i32[B]; the most likely if the temperature is 0.

    A penalty is in nats at any temperature: the tempered probability is multiplied by
    exp(-penalty), and top-k and top-p choose among the products.
    """
    if temperature == 0:
        return jnp.argmax(logits_BxV - penalties_BxV, axis=-1).astype(jnp.int32)
    # Relative to the highest logit, so that no temperature makes one infinite.
    least = jnp.finfo(logits_BxV.dtype).min
    highest = jnp.max(logits_BxV, axis=-1, keepdims=True, initial=least)
    tempered = (logits_BxV - highest) / temperature
    logits = restrict(tempered - penalties_BxV, top_k, top_p)
    return jax.vmap(jax.random.categorical)(keys, logits).astype(jnp.int32)
