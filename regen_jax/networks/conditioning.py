"""How a source of any space enters a DiT, for every generator of Arrays."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.dit import DiT, sinusoids
from regen_jax.networks.duration_encoder import (
    Alignment,
    Canvas,
    Encoded,
    TextEncoder,
    align,
    plan,
)
from regen_jax.networks.embeddings import INIT, SourceEmbedding, source_mask
from regen_jax.networks.transformer_options import TransformerOptions
from regen_jax.ranges import Count, Natural, Positive
from regen_jax.spaces import Array, Padded, Space, Tokens, Value, length_mask, zeros

TIME_FEATURES = 256


def is_canvas(source_space: Space, target_space: Array) -> bool:
    """Whether a source can be drawn upon: an Array whose axes divide the target's."""
    return (
        isinstance(source_space, Array)
        and len(source_space.shape) == len(target_space.shape)
        and all(
            fine % coarse == 0
            for fine, coarse in zip(
                target_space.shape[:-1], source_space.shape[:-1], strict=True
            )
        )
    )


def as_canvas(source_space: Array, target_space: Array, source: jax.Array) -> jax.Array:
    """Normalizes a [B, *source.shape] and resizes it, linearly, to the target's axes.

    The result is float32 [B, *target axes, channels of the source].
    """
    shape = (source.shape[0], *target_space.shape[:-1], source_space.shape[-1])
    return jax.image.resize(source_space.normalize(source), shape, "linear")


class ConditionalDiT(nn.Module):
    """A DiT told of a source, and of a time where there is one.

    A source that `is_canvas`, or comes as a Canvas, joins the input's channels; any
    other becomes tokens in front of the patches, if more than one, and their mean joins
    the vector that modulates every layer. Padding is seen nowhere.
    """

    source_space: Space
    target_space: Array
    dit: DiT

    @nn.compact
    def __call__(
        self,
        source: Value | Canvas,
        drop: jax.Array | None = None,
        x_BxAxC: jax.Array | None = None,
        time_B: jax.Array | None = None,
        keys: jax.Array | None = None,
    ) -> jax.Array:
        """Returns float32 [B, *target.shape], zero at the start of training.

        Args:
          a: the source [B, *source.shape], or its Canvas, whose length is the target's.
          drop: bool[B], true where the source is withheld; None for nowhere.
          x_BxAxC: what is to be refined, [B, *target axes, any channels].
          time_B: f32[B] in [0, 1].
          keys: one key an example for dropout; None outside training.
        """
        width, dtype = self.dit.width, self.dit.dtype
        batch = jax.tree.leaves(source)[0].shape[0]
        condition_BxW = jnp.zeros((batch, width), dtype)
        context = mask = valid = None
        if isinstance(source, Canvas) or is_canvas(
            self.source_space, self.target_space
        ):
            if isinstance(source, Canvas):
                canvas = jnp.concatenate([source.mean, source.hidden], axis=-1)
                valid = length_mask(source.length, self.target_space.shape[0])
                # A last patch that is full in part counts.
                mask = valid[:, :: self.dit.patch]
            else:
                canvas = as_canvas(self.source_space, self.target_space, source)
            if drop is not None:
                null = self.param("null", INIT, (width,)).astype(dtype)
                condition_BxW += jnp.where(drop[:, None], null, 0)
                dropped = drop.reshape(-1, *[1] * len(self.target_space.shape))
                canvas = jnp.where(dropped, 0, canvas)
            inputs = [canvas] if x_BxAxC is None else [x_BxAxC, canvas]
            x_BxAxC = jnp.concatenate(inputs, axis=-1)
        else:
            drop = jnp.zeros(batch, bool) if drop is None else drop
            embed = SourceEmbedding(
                self.source_space, width, dtype, name="embed_source"
            )
            tokens_BxSxW = embed(source, drop)
            mask = source_mask(self.source_space, source)
            if mask is None:
                condition_BxW += tokens_BxSxW.mean(axis=1)
            else:
                # Without its source an example shall not know the length either.
                mask = mask | drop[:, None]
                total = jnp.where(mask[..., None], tokens_BxSxW, 0).sum(axis=1)
                condition_BxW += total / jnp.maximum(mask.sum(axis=1), 1)[:, None]
                patches = math.prod(self.target_space.shape[:-1])
                patches //= self.dit.patch ** (len(self.target_space.shape) - 1)
                mask = jnp.pad(mask, ((0, 0), (0, patches)), constant_values=True)
            context = tokens_BxSxW if tokens_BxSxW.shape[1] > 1 else None
        if time_B is not None:
            # In thousandths, so that the shortest wavelengths tell nearby times apart.
            y = sinusoids(1000 * time_B, TIME_FEATURES).astype(dtype)
            y = nn.Dense(width, dtype=dtype, name="time_in")(y)
            condition_BxW += nn.Dense(width, dtype=dtype, name="time_out")(nn.silu(y))
        if valid is not None:
            x_BxAxC = jnp.where(valid[..., None], x_BxAxC, 0)
        y = self.dit(x_BxAxC, condition_BxW, context, keys, mask)
        return y if valid is None else jnp.where(valid[..., None], y, 0)


@dataclasses.dataclass(frozen=True)
class DiTOptions(TransformerOptions):
    """The options that every generator with a ConditionalDiT has.

    Tokens to a padded Array of frames are laid out over its time axis: a text encoder
    gives the mean and the duration of each token, and the DiT refines what they draw.

    Attributes:
      patch: side of the patches that the network sees as one token.
      encoder_layers: convolutions of the text encoder.
      alignment_weight: of the loss of the text encoder's means.
    """

    target_space: Array
    patch: Count = 1
    encoder_layers: Natural = 2
    alignment_weight: Positive = 1.0

    def __post_init__(self):
        super().__post_init__()
        if isinstance(self.source_space, Array) and self.source_space.padded:
            raise ValueError(
                f"needs a source of constant length, not {self.source_space}"
            )
        if self.target_space.padded and not self.aligned:
            raise ValueError(
                "needs a target of constant length, or Tokens to an Array of frames and "
                f"channels, not {self.source_space} to {self.target_space}"
            )
        axes = self.target_space.shape[:-1]
        if any(n % self.patch for n in axes):
            common = math.gcd(*axes)
            fits = ", ".join(str(n) for n in range(1, common + 1) if common % n == 0)
            raise ValueError(
                f"patch {self.patch} does not divide the axes of {self.target_space}; "
                f"known to fit are {fits}"
            )

    @property
    def aligned(self) -> bool:
        """Whether the source is laid out over the target, by durations."""
        frames = self.target_space.padded and len(self.target_space.shape) == 2
        return frames and isinstance(self.source_space, Tokens)

    @property
    def network(self) -> ConditionalDiT:
        dit = DiT(
            shape=self.target_space.shape,
            patch=self.patch,
            width=self.width,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            mlp_ratio=self.mlp_ratio,
            dropout=self.dropout,
            dtype=jnp.dtype(self.dtype),
            remat=self.remat,
        )
        return ConditionalDiT(self.source_space, self.target_space, dit)

    @property
    def encoder(self) -> TextEncoder:
        """Its parameters stand beside the network's, as `encoder`."""
        return TextEncoder(
            source_space=self.source_space,
            target_space=self.target_space,
            width=self.width,
            num_layers=self.encoder_layers,
            dropout=self.dropout,
            dtype=jnp.dtype(self.dtype),
        )

    def encode(
        self,
        variables: Mapping[str, Any],
        source: jax.Array,
        keys: jax.Array | None = None,
    ) -> Encoded:
        """What the text encoder says of a; drops out with keys."""
        encoder = {"params": variables["params"]["encoder"]}
        return self.encoder.apply(encoder, source, keys)

    def align(
        self,
        variables: Mapping[str, Any],
        source: jax.Array,
        target: Padded,
        keys: jax.Array | None = None,
    ) -> Alignment:
        """How b lies over a; only where `aligned`."""
        target = Padded(self.target_space.normalize(target.values), target.length)
        return align(self.encode(variables, source, keys), target)

    def path(
        self, variables: Mapping[str, Any], source: jax.Array, target: Padded
    ) -> jax.Array | None:
        """f32 [B, T, S]: 1 where a frame of b belongs to a token of a."""
        if not self.aligned:
            return None
        return self.align(variables, source, target).path.astype(jnp.float32)

    def plan(self, variables: Mapping[str, Any], source: Value) -> Value | Canvas:
        """What the network is told of a where b is not known."""
        if not self.aligned:
            return source
        return plan(self.encode(variables, source), self.target_space.shape[0])

    def start(self, rng: jax.Array, *inputs: jax.Array) -> dict[str, Any]:
        """Variables of the network, given its inputs behind the source, and encoder."""
        source = zeros(self.source_space, 1)
        if not self.aligned:
            return self.network.init(rng, source, *inputs)
        network_rng, encoder_rng = jax.random.split(rng)
        encoder = self.encoder.init(encoder_rng, source)["params"]
        canvas = self.plan({"params": {"encoder": encoder}}, source)
        network = self.network.init(network_rng, canvas, *inputs)["params"]
        return {"params": {**network, "encoder": encoder}}

    def finish(self, y: jax.Array, told: Value | Canvas) -> Value:
        """A sample in the space of b, from one that is normalized."""
        y = jnp.clip(
            self.target_space.denormalize(y),
            self.target_space.low,
            self.target_space.high,
        )
        if not isinstance(told, Canvas):
            return y
        valid = length_mask(told.length, self.target_space.shape[0])
        return Padded(jnp.where(valid[..., None], y, 0), told.length)
