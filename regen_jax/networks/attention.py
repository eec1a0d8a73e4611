"""The pieces that transformers share: attention and the position-wise network."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.linear import Linear


def attend(
    q_BxQxHxD: jax.Array,
    k_BxKxHxD: jax.Array,
    v_BxKxHxD: jax.Array,
    mask: jax.Array | None = None,
) -> jax.Array:
    """Scaled dot-product attention (Vaswani et al., arXiv 1706.03762, equation 1).

    Args:
      q_BxQxHxD: queries, Q of them in each of H heads of D dimensions.
      k_BxKxHxD: keys.
      v_BxKxHxD: values.
      mask: bool, broadcast to [B, H, Q, K]; true where a query may see a key. A query
        that may see none gets the mean of all values rather than a NaN.

    Returns:
      [B, Q, H, D] in the dtype of the values. Scores and softmax are in float32.
    """
    y_BxHxQxD = attend_by_head(
        jnp.transpose(q_BxQxHxD, (0, 2, 1, 3)),
        jnp.transpose(k_BxKxHxD, (0, 2, 3, 1)),
        jnp.transpose(v_BxKxHxD, (0, 2, 1, 3)),
        mask,
    )
    return jnp.transpose(y_BxHxQxD, (0, 2, 1, 3))


def attend_by_head(
    q_BxHxQxD: jax.Array,
    k_BxHxDxK: jax.Array,
    v_BxHxKxD: jax.Array,
    mask: jax.Array | None = None,
) -> jax.Array:
    """`attend` to [B, H, Q, D], from arrays laid out for its two matrix products.

    Heads in front and keys transposed suit every backend; an einsum over [B, L, H, D]
    takes half as long again on a CPU. A cache is best kept in this layout.
    """
    scale = 1 / math.sqrt(q_BxHxQxD.shape[-1])
    scores = jnp.matmul(
        q_BxHxQxD * scale, k_BxHxDxK, preferred_element_type=jnp.float32
    )
    if mask is not None:
        # Finite, since a row of -inf would make the softmax and its gradient NaN.
        scores = jnp.where(mask, scores, -1e30)
    top = jax.lax.stop_gradient(scores.max(axis=-1, keepdims=True))
    weights = jnp.exp(scores - top)
    # Normalizing after the product costs Q·D divisions where before it costs Q·K.
    y_BxHxQxD = jnp.matmul(
        weights.astype(v_BxHxKxD.dtype), v_BxHxKxD, preferred_element_type=jnp.float32
    ) / weights.sum(axis=-1, keepdims=True)
    return y_BxHxQxD.astype(v_BxHxKxD.dtype)


def rotate(x_BxHxQxD: jax.Array, position: jax.Array | int) -> jax.Array:
    """Turns queries or keys by their positions, from `position` on.

    Rotary embedding (Su et al., arXiv 2104.09864, equation 34, with the halves of D as
    the two coordinates): products of queries and keys then tell how far apart they are.
    """
    *_, length, dim = x_BxHxQxD.shape
    speeds = 10_000 ** (-jnp.arange(dim // 2) / (dim // 2))
    angles = (position + jnp.arange(length))[:, None] * speeds
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    a, b = jnp.split(x_BxHxQxD.astype(jnp.float32), 2, axis=-1)
    turned = jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)
    return turned.astype(x_BxHxQxD.dtype)


class MLP(nn.Module):
    """Two dense layers with a GELU between: [..., width] to [..., width]."""

    width: int
    ratio: float = 4.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = Linear(round(self.ratio * self.width), dtype=self.dtype, name="up")(x)
        return Linear(self.width, dtype=self.dtype, name="down")(nn.gelu(x))
