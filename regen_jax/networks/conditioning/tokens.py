"""Sources of any space as tokens that are attended to, and as their mean."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.conditioning.interface import Condition, Conditioning
from regen_jax.networks.conditioning.spatial import AlignedFeatures
from regen_jax.networks.embeddings import SourceEmbedding, source_mask
from regen_jax.spaces import Array, Space, Value


class TokenEncoder(nn.Module):
    """Embeds a source as tokens, if more than one, and their mean; padding is not seen."""

    source_space: Space
    width: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, source: Value, drop: jax.Array | None) -> Condition:
        if drop is None:
            drop = jnp.zeros(jax.tree.leaves(source)[0].shape[0], bool)
        embed = SourceEmbedding(self.source_space, self.width, self.dtype, name="embed")
        tokens_BxSxW = embed(source, drop)
        mask = source_mask(self.source_space, source)
        if mask is None:
            vector_BxW = tokens_BxSxW.mean(axis=1)
        else:
            # A dropped source hides its length, too.
            mask = mask | drop[:, None]
            total = jnp.where(mask[..., None], tokens_BxSxW, 0).sum(axis=1)
            vector_BxW = total / jnp.maximum(mask.sum(axis=1), 1)[:, None]
        vector_BxW = vector_BxW.astype(self.dtype)
        if tokens_BxSxW.shape[1] == 1:
            return Condition(vector_BxW)
        return Condition(vector_BxW, tokens_BxSxW, mask)


@dataclasses.dataclass(frozen=True)
class TokenConditioning(Conditioning):
    """Attends to the source's tokens and modulates every layer by their mean."""

    def module(
        self, source_space: Space, target_space: Array, width: int, dtype: jnp.dtype
    ) -> TokenEncoder:
        if target_space.padded or isinstance(source_space, AlignedFeatures):
            raise ValueError(
                "a source that is time-aligned with the target gives its length: use "
                "'automatic' or 'spatial' conditioning, not 'tokens'"
            )
        return TokenEncoder(source_space, width, dtype)
