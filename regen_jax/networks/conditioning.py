"""How a source of any space enters a DiT, for every generator of Arrays."""

import dataclasses
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.dit import DiT, sinusoids
from regen_jax.networks.embeddings import INIT, SourceEmbedding
from regen_jax.spaces import Array, Space

TIME_FEATURES = 256


def is_canvas(source: Space, target: Array) -> bool:
    """Whether a source can be drawn upon: an Array whose axes divide the target's."""
    return (
        isinstance(source, Array)
        and len(source.shape) == len(target.shape)
        and all(
            fine % coarse == 0
            for fine, coarse in zip(target.shape[:-1], source.shape[:-1], strict=True)
        )
    )


def as_canvas(source: Array, target: Array, a: jax.Array) -> jax.Array:
    """Normalizes a [B, *source.shape] and resizes it, linearly, to the target's axes.

    The result is float32 [B, *target axes, channels of the source].
    """
    shape = (a.shape[0], *target.shape[:-1], source.shape[-1])
    return jax.image.resize(source.normalize(a), shape, "linear")


class ConditionalDiT(nn.Module):
    """A DiT told of a source, and of a time where there is one.

    A source that `is_canvas` joins the input's channels; any other becomes tokens in
    front of the patches, if more than one, and their mean joins the vector that
    modulates every layer.
    """

    source: Space
    target: Array
    dit: DiT

    @nn.compact
    def __call__(
        self,
        a: jax.Array,
        drop: jax.Array | None = None,
        x_BxAxC: jax.Array | None = None,
        time_B: jax.Array | None = None,
        keys: jax.Array | None = None,
    ) -> jax.Array:
        """Returns float32 [B, *target.shape], zero at the start of training.

        Args:
          a: the source [B, *source.shape].
          drop: bool[B], true where the source is withheld; None for nowhere.
          x_BxAxC: what is to be refined, [B, *target axes, any channels].
          time_B: f32[B] in [0, 1].
          keys: one key an example for dropout; None outside training.
        """
        width, dtype = self.dit.width, self.dit.dtype
        condition_BxW = jnp.zeros((a.shape[0], width), dtype)
        context = None
        if is_canvas(self.source, self.target):
            canvas = as_canvas(self.source, self.target, a)
            if drop is not None:
                null = self.param("null", INIT, (width,)).astype(dtype)
                condition_BxW += jnp.where(drop[:, None], null, 0)
                dropped = drop.reshape(-1, *[1] * len(self.target.shape))
                canvas = jnp.where(dropped, 0, canvas)
            inputs = [canvas] if x_BxAxC is None else [x_BxAxC, canvas]
            x_BxAxC = jnp.concatenate(inputs, axis=-1)
        else:
            drop = jnp.zeros(a.shape[0], bool) if drop is None else drop
            embed = SourceEmbedding(self.source, width, dtype, name="embed_source")
            tokens_BxSxW = embed(a, drop)
            condition_BxW += tokens_BxSxW.mean(axis=1)
            context = tokens_BxSxW if tokens_BxSxW.shape[1] > 1 else None
        if time_B is not None:
            # In thousandths, so that the shortest wavelengths tell nearby times apart.
            y = sinusoids(1000 * time_B, TIME_FEATURES).astype(dtype)
            y = nn.Dense(width, dtype=dtype, name="time_in")(y)
            condition_BxW += nn.Dense(width, dtype=dtype, name="time_out")(nn.silu(y))
        return self.dit(x_BxAxC, condition_BxW, context, keys)


@dataclasses.dataclass(frozen=True)
class DiTOptions:
    """The options that every generator with a ConditionalDiT has.

    Attributes:
      source: the space of a.
      target: the space of b.
      patch: side of the patches that the network sees as one token.
      dropout: of each layer's output, in training.
      dtype: compute dtype; losses and results are float32.
      remat: recompute activations in the backward pass, to save memory.
    """

    source: Space
    target: Array
    patch: int = 1
    width: int = 128
    num_layers: int = 4
    num_heads: int = 4
    mlp_ratio: float = 4.0
    dropout: float = 0.0
    dtype: str = "float32"
    remat: bool = False

    def __post_init__(self):
        for role, space in (("source", self.source), ("target", self.target)):
            if isinstance(space, Array) and space.padded:
                raise ValueError(f"needs a {role} of constant length, not {space}")
        axes = self.target.shape[:-1]
        if self.patch < 1 or any(n % self.patch for n in axes):
            common = math.gcd(*axes)
            fits = ", ".join(str(n) for n in range(1, common + 1) if common % n == 0)
            raise ValueError(
                f"patch {self.patch} does not divide the axes of {self.target}; "
                f"known to fit are {fits}"
            )
        if min(self.width, self.num_heads, self.num_layers) < 1:
            raise ValueError(
                "width, num_layers and num_heads must be at least 1, not "
                f"{self.width}, {self.num_layers} and {self.num_heads}"
            )
        if self.width % self.num_heads:
            raise ValueError(
                f"num_heads {self.num_heads} does not divide width {self.width}"
            )
        if self.mlp_ratio <= 0:
            raise ValueError(f"mlp_ratio must be above 0, not {self.mlp_ratio}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {self.dropout}")
        if self.dtype not in ("float32", "bfloat16"):
            raise ValueError(
                f"dtype must be 'float32' or 'bfloat16', not {self.dtype!r}"
            )

    @property
    def network(self) -> ConditionalDiT:
        dit = DiT(
            shape=self.target.shape,
            patch=self.patch,
            width=self.width,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            mlp_ratio=self.mlp_ratio,
            dropout=self.dropout,
            dtype=jnp.dtype(self.dtype),
            remat=self.remat,
        )
        return ConditionalDiT(self.source, self.target, dit)
