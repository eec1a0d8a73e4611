"""A transformer's layer with a key-value cache and cross-attention."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.attention import MLP, attend_by_head, rotate
from regen_jax.networks.embeddings import dropout
from regen_jax.networks.linear import Linear

KeysValues = tuple[jax.Array, jax.Array]


class Block(nn.Module):
    """Self-attention, cross-attention where there is a memory, and an MLP.

    With `rotary`, self-attention sees how far apart positions are.
    """

    num_heads: int
    mlp_ratio: float = 4.0
    dropout: float = 0.0
    cross: bool = False
    dtype: jnp.dtype = jnp.float32
    rotary: bool = False

    @nn.compact
    def __call__(
        self,
        x_BxQxW: jax.Array,
        mask: jax.Array | None,
        memory: jax.Array | KeysValues | None,
        memory_mask: jax.Array | None,
        keys: jax.Array | None,
        layer: int,
        cache: KeysValues | None = None,
        position: jax.Array | int = 0,
    ) -> tuple[jax.Array, KeysValues, KeysValues | None]:
        """Returns x and the keys and values that self- and cross-attention read.

        Without a cache those of self-attention are of x, [B, H, D, Q] and [B, H, Q, D].
        With one, they are the cache, T long, with those of x written from `position` on.

        The memory is [B, S, W], or the keys and values that an earlier call returned.
        `alignment` is a collection that, where mutable, keeps the weights of
        cross-attention, f32[B, Q, S], a mean over heads.
        """
        width = x_BxQxW.shape[-1]
        head_dim = width // self.num_heads

        def project(name: str, x: jax.Array, number: int) -> list[jax.Array]:
            """`number` arrays [B, H, Q, D] of x [B, Q, W]."""
            x = Linear(number * width, dtype=self.dtype, name=name)(x)
            x = x.reshape(*x.shape[:2], number, self.num_heads, head_dim)
            return list(x.transpose(2, 0, 3, 1, 4))

        def merge(name: str, x: jax.Array) -> jax.Array:
            x = x.transpose(0, 2, 1, 3).reshape(x.shape[0], -1, width)
            return Linear(width, dtype=self.dtype, name=name)(x)

        x = x_BxQxW
        h = nn.LayerNorm(dtype=self.dtype, name="norm_self")(x)
        q, k, v = project("qkv", h, 3)
        if self.rotary:
            q, k = rotate(q, position), rotate(k, position)
        k = k.swapaxes(2, 3)
        if cache is not None:
            write = jax.lax.dynamic_update_slice_in_dim
            k = write(cache[0], k, position, axis=3)
            v = write(cache[1], v, position, axis=2)
        h = merge("out", attend_by_head(q, k, v, mask))
        x = x + dropout(h, keys, self.dropout, 3 * layer + 1)

        if self.cross:
            h = nn.LayerNorm(dtype=self.dtype, name="norm_cross")(x)
            (q,) = project("cross_q", h, 1)
            if not isinstance(memory, tuple):
                memory_k, memory_v = project("cross_kv", memory, 2)
                memory = memory_k.swapaxes(2, 3), memory_v
            seen = None if memory_mask is None else memory_mask[:, None, None]
            h = merge("cross_out", attend_by_head(q, *memory, seen))
            x = x + dropout(h, keys, self.dropout, 3 * layer + 2)
            if self.is_mutable_collection("alignment") and not self.is_initializing():
                one_hot = jnp.eye(memory[0].shape[-1])[None, None]
                weights = attend_by_head(q, memory[0], one_hot, seen)
                self.sow("alignment", "weights", weights.mean(axis=1))

        h = nn.LayerNorm(dtype=self.dtype, name="norm_mlp")(x)
        h = MLP(width, self.mlp_ratio, self.dtype, name="mlp")(h)
        x = x + dropout(h, keys, self.dropout, 3 * layer + 3)
        return x, (k, v), memory if self.cross else None
