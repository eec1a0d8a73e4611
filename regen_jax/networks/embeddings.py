"""From a source of any space to vectors, and the randomness that belongs to an example."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.spaces import Array, Category, Space, Tokens

INIT = nn.initializers.normal(0.02)


def source_length(space: Space) -> int:
    """Number of vectors that `SourceEmbedding` makes of one example."""
    match space:
        case Category():
            return 1
        case Tokens():
            return space.length
        case Array():
            return math.prod(space.shape[:-1])


class SourceEmbedding(nn.Module):
    """Embeds a [B, *space.shape] as [B, source_length, width].

    A dropped source becomes a learned null vector, the condition that classifier-free
    guidance (Ho and Salimans, arXiv 2207.12598) extrapolates away from.
    """

    space: Space
    width: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, a: jax.Array, drop: jax.Array) -> jax.Array:
        """Takes a [B, *space.shape] and drop bool[B], true where a is withheld."""
        match self.space:
            case Category(size):
                x = nn.Embed(
                    size,
                    self.width,
                    embedding_init=INIT,
                    dtype=self.dtype,
                    name="category",
                )(a)[:, None]
            case Tokens(vocab=vocab, depth=depth):
                x = nn.Embed(
                    vocab * depth,
                    self.width,
                    embedding_init=INIT,
                    dtype=self.dtype,
                    name="tokens",
                )(a if depth == 1 else a + vocab * jnp.arange(depth))
                x = x if depth == 1 else x.sum(axis=-2)
            case Array():
                x = self.space.normalize(a).reshape(
                    a.shape[0], -1, self.space.shape[-1]
                )
                x = nn.Dense(self.width, dtype=self.dtype, name="values")(x)
        length = source_length(self.space)
        if length > 1:
            x = x + self.param("positions", INIT, (length, self.width)).astype(
                self.dtype
            )
        null = self.param("null", INIT, (self.width,)).astype(self.dtype)
        return jnp.where(drop[:, None, None], null, x)


def drop_sources(keys: jax.Array, rate: float, train: bool) -> jax.Array:
    """bool[B]: the examples that train without source, for classifier-free guidance."""
    if not train or rate == 0:
        return jnp.zeros(keys.shape, bool)
    return jax.vmap(lambda key: jax.random.bernoulli(jax.random.fold_in(key, 0), rate))(
        keys
    )


def dropout(x: jax.Array, keys: jax.Array | None, rate: float, layer: int) -> jax.Array:
    """Inverted dropout of x [B, …] with a key an example; without keys, x as it is.

    `layer` sets several uses of the same keys apart. A byte decides over each value, a
    quarter of the random bits that a float needs: the rate is rounded to 1/256.
    """
    dropped = round(256 * rate)
    if keys is None or dropped == 0:
        return x

    def draw(key: jax.Array) -> jax.Array:
        return jax.random.bits(jax.random.fold_in(key, layer), x.shape[1:], jnp.uint8)

    keep = jax.vmap(draw)(keys) >= dropped
    return jnp.where(keep, x * (256 / (256 - dropped)), 0).astype(x.dtype)
