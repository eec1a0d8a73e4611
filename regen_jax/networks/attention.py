"""What transformers share: attention and the position-wise MLP."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.linear import Linear

KeysValues = tuple[jax.Array, jax.Array]
"""Keys [B, H, D, K] and values [B, H, K, D], laid out for `attend_by_head`."""


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
      mask: bool, broadcast to [B, H, Q, K]; true where a query attends to a key. A query
        without any key gets the mean of all values rather than a NaN.

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
    """Computes `attend` as [B, H, Q, D], from arrays laid out for its two products.

    Leading heads and transposed keys suit every backend; an einsum over [B, L, H, D]
    takes 1.5 times as long on a CPU. A cache is best kept in this layout.
    """
    scores = _scores(q_BxHxQxD, k_BxHxDxK, mask)
    top = jax.lax.stop_gradient(scores.max(axis=-1, keepdims=True))
    weights = jnp.exp(scores - top)
    # Normalizing after the product costs Q·D divisions where before it costs Q·K.
    y_BxHxQxD = jnp.matmul(
        weights.astype(v_BxHxKxD.dtype), v_BxHxKxD, preferred_element_type=jnp.float32
    ) / weights.sum(axis=-1, keepdims=True)
    return y_BxHxQxD.astype(v_BxHxKxD.dtype)


def attention_weights(
    q_BxHxQxD: jax.Array, k_BxHxDxK: jax.Array, mask: jax.Array | None = None
) -> jax.Array:
    """Returns f32[B, Q, K], the weights of `attend_by_head`, averaged over heads."""
    return jax.nn.softmax(_scores(q_BxHxQxD, k_BxHxDxK, mask)).mean(axis=1)


def _scores(
    q_BxHxQxD: jax.Array, k_BxHxDxK: jax.Array, mask: jax.Array | None
) -> jax.Array:
    """Returns f32[B, H, Q, K], scaled and masked."""
    scale = 1 / math.sqrt(q_BxHxQxD.shape[-1])
    scores = jnp.matmul(
        q_BxHxQxD * scale, k_BxHxDxK, preferred_element_type=jnp.float32
    )
    # Finite, since a row of -inf would make the softmax and its gradient NaN.
    return scores if mask is None else jnp.where(mask, scores, -1e30)


def rotate(x_BxHxQxD: jax.Array, position: jax.Array | int) -> jax.Array:
    """Rotates queries or keys by their positions, the first of which is `position`.

    Rotary embedding (Su et al., arXiv 2104.09864, equation 34, with the halves of D as
    the two coordinates): the product of a query and a key depends on their distance.
    """
    *_, length, dim = x_BxHxQxD.shape
    frequencies = 10_000 ** (-jnp.arange(dim // 2) / (dim // 2))
    angles = (position + jnp.arange(length))[:, None] * frequencies
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    x, y = jnp.split(x_BxHxQxD.astype(jnp.float32), 2, axis=-1)
    rotated = jnp.concatenate([x * cos - y * sin, x * sin + y * cos], axis=-1)
    return rotated.astype(x_BxHxQxD.dtype)


class SelfAttention(nn.Module):
    """Multi-head self-attention over x [B, Q, W], with an optional key-value cache.

    Attributes:
      num_heads: divides W; each head has D = W / num_heads dimensions.
      rotary: whether queries and keys are rotated by their positions.
    """

    num_heads: int
    dtype: jnp.dtype = jnp.float32
    rotary: bool = False

    @nn.compact
    def __call__(
        self,
        x_BxQxW: jax.Array,
        mask: jax.Array | None = None,
        cache: KeysValues | None = None,
        position: jax.Array | int = 0,
    ) -> tuple[jax.Array, KeysValues]:
        """Returns [B, Q, W], and the keys and values that were attended to.

        Args:
          x_BxQxW: the input.
          mask: as for `attend`, over the positions of the cache where there is one.
          cache: keys and values of T positions, into which those of x are written from
            `position` on. Without it, x attends to itself alone.
          position: of the first row of x in the sequence.
        """
        width = x_BxQxW.shape[-1]
        features = 3, self.num_heads, width // self.num_heads
        qkv = Linear(features, dtype=self.dtype, name="qkv")(x_BxQxW)
        q, k, v = qkv.transpose(2, 0, 3, 1, 4)
        if self.rotary:
            q, k = rotate(q, position), rotate(k, position)
        k = k.swapaxes(2, 3)
        if cache is not None:
            write = jax.lax.dynamic_update_slice_in_dim
            k = write(cache[0], k, position, axis=3)
            v = write(cache[1], v, position, axis=2)
        y = attend_by_head(q, k, v, mask).swapaxes(1, 2)
        return Linear(width, 2, self.dtype, name="out")(y), (k, v)


class CrossAttention(nn.Module):
    """Multi-head attention of x [B, Q, W] to a source [B, S, W]."""

    num_heads: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        x_BxQxW: jax.Array,
        source: jax.Array | KeysValues,
        mask: jax.Array | None = None,
    ) -> tuple[jax.Array, jax.Array, KeysValues]:
        """Returns [B, Q, W], the queries [B, H, Q, D], and the keys and values.

        Args:
          x_BxQxW: the input.
          source: [B, S, W], or the keys and values that an earlier call returned.
          mask: as for `attend`.
        """
        width = x_BxQxW.shape[-1]
        heads = self.num_heads, width // self.num_heads
        q = Linear(heads, dtype=self.dtype, name="q")(x_BxQxW).swapaxes(1, 2)
        if not isinstance(source, tuple):
            kv = Linear((2, *heads), dtype=self.dtype, name="kv")(source)
            k, v = kv.transpose(2, 0, 3, 1, 4)
            source = k.swapaxes(2, 3), v
        y = attend_by_head(q, *source, mask).swapaxes(1, 2)
        return Linear(width, 2, self.dtype, name="out")(y), q, source


class MLP(nn.Module):
    """Two dense layers with a GELU between, [..., width] to [..., width].

    The hidden layer has `ratio` times `width` units.
    """

    width: int
    ratio: float = 4.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = Linear(round(self.ratio * self.width), dtype=self.dtype, name="up")(x)
        return Linear(self.width, dtype=self.dtype, name="down")(nn.gelu(x))
