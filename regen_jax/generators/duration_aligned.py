"""Frames from tokens: durations that are learned, and a generator of the frames."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from regen_jax.generators.composite import (
    merge_outputs,
    merge_variables,
    part_output,
    part_variables,
)
from regen_jax.interfaces import (
    Generator,
    Key,
    LossOutput,
    PartBuilder,
    Passes,
    Variables,
)
from regen_jax.losses.squared_error import normalize_target
from regen_jax.networks.conditioning.spatial import AlignedFeatures
from regen_jax.networks.duration_encoder import (
    Alignment,
    DurationEncoder,
    DurationEncoderOptions,
    EncodedTokens,
    align,
    lay_out,
    predict_durations,
)
from regen_jax.ranges import Positive
from regen_jax.spaces import Array, Padded, Space, Tokens, Value, zeros


@dataclasses.dataclass(frozen=True)
class DurationAligned(Generator):
    """Lays tokens out over the time axis of the target, for a generator to refine.

    An encoder gives the mean and the duration of each token's frames. In training,
    durations are those of the best alignment of the target to the means; in sampling they
    are predicted.

    Attributes:
      source_space: of the tokens.
      target_space: of frames and channels, padded.
      generator: from `AlignedFeatures` to the target, such as `regression`.
      duration_encoder: of the tokens.
      alignment_weight: of the loss of the means. That of durations needs none: they have
        parameters of their own.
    """

    source_space: Tokens
    target_space: Array
    generator: Generator
    duration_encoder: DurationEncoderOptions = dataclasses.field(
        default_factory=DurationEncoderOptions
    )
    alignment_weight: Positive = 1.0

    sources = (Tokens,)
    targets = (Array,)
    nested = ("generator",)

    def __post_init__(self):
        super().__post_init__()
        _check_spaces(self.source_space, self.target_space)

    @classmethod
    def build_nested(
        cls, builder: PartBuilder, source_space: Space, target_space: Space
    ) -> Mapping[str, Any]:
        _check_spaces(source_space, target_space)
        encoder = builder.options("duration_encoder", DurationEncoderOptions)
        features = aligned_features(encoder, target_space)
        generator = builder.generator("generator", features, target_space)
        return {"duration_encoder": encoder, "generator": generator}

    @property
    def _encoder(self) -> DurationEncoder:
        return DurationEncoder(
            self.source_space, self.target_space, self.duration_encoder
        )

    @property
    def sampling(self) -> frozenset[str]:
        """The sampling options of the inner generator, named `generator.…`."""
        return frozenset(f"generator.{name}" for name in self.generator.sampling)

    def init(self, rng: jax.Array) -> Variables:
        generator_rng, encoder_rng = jax.random.split(rng)
        return merge_variables(
            {
                "duration_encoder": self._encoder.init(
                    encoder_rng, zeros(self.source_space, 1)
                ),
                "generator": self.generator.init(generator_rng),
            }
        )

    def encode(
        self, variables: Variables, source: jax.Array, keys: jax.Array | None = None
    ) -> EncodedTokens:
        """Encodes tokens [B, S]; `keys`, one per example, turn dropout on."""
        part = part_variables(variables, "duration_encoder")
        return self._encoder.apply(part, source, keys)

    def align(
        self,
        variables: Variables,
        source: jax.Array,
        target: Padded,
        keys: jax.Array | None = None,
    ) -> Alignment:
        """Finds the best alignment of the target to the source."""
        values = normalize_target(self.target_space, target)
        encoded = self.encode(variables, source, keys)
        return align(encoded, Padded(values, target.length))

    def loss(
        self,
        variables: Variables,
        keys: Key,
        source: jax.Array,
        target: Padded,
        train: bool,
    ) -> LossOutput:
        """Returns the sum of the losses of generator, alignment and durations."""
        alignment = self.align(variables, source, target, keys if train else None)
        output = merge_outputs(
            {
                "generator": self.generator.loss(
                    part_variables(variables, "generator"),
                    keys,
                    alignment.features,
                    target,
                    train,
                )
            }
        )
        losses = {
            "alignment_loss": alignment.alignment_loss,
            "duration_loss": alignment.duration_loss,
        }
        loss = output.loss + self.alignment_weight * alignment.alignment_loss
        return output.replace(
            loss=loss + alignment.duration_loss, metrics=output.metrics | losses
        )

    def sample(self, variables: Variables, keys: jax.Array, source: jax.Array) -> Value:
        """Draws the frames, as many as predicted durations say."""
        encoded = self.encode(variables, source)
        frames = self.target_space.shape[0]
        features = lay_out(encoded, predict_durations(encoded, frames), frames)
        generator = part_variables(variables, "generator")
        return self.generator.sample(generator, keys, features)

    def alignment(
        self, variables: Variables, source: jax.Array, target: Padded
    ) -> jax.Array:
        """Returns f32[B, T, S], 1 where a frame belongs to a token."""
        return self.align(variables, source, target).path.astype(jnp.float32)

    def update(
        self, variables: Variables, rng: jax.Array, objective: LossOutput
    ) -> Variables:
        updated = self.generator.update(
            part_variables(variables, "generator"),
            rng,
            part_output(objective, "generator"),
        )
        return _with_generator(variables, updated)

    def finalize(
        self, variables: Variables, pairs: Iterable[tuple[jax.Array, Padded]]
    ) -> Variables:
        jitted = jax.jit(self.align)
        aligned = Passes(
            lambda: ((jitted(variables, *pair).features, pair[1]) for pair in pairs)
        )
        generator = part_variables(variables, "generator")
        return _with_generator(variables, self.generator.finalize(generator, aligned))


def _with_generator(variables: Variables, generator: Variables) -> Variables:
    """Returns variables with those of the generator replaced."""
    encoder = part_variables(variables, "duration_encoder")
    return merge_variables({"duration_encoder": encoder, "generator": generator})


def aligned_features(
    encoder: DurationEncoderOptions, target_space: Array
) -> AlignedFeatures:
    """Returns the space of what `lay_out` gives the generator of the frames."""
    frames, channels = target_space.shape
    return AlignedFeatures((frames, channels + encoder.width + 1))


def _check_spaces(source_space: Space, target_space: Space) -> None:
    is_frames = (
        isinstance(target_space, Array)
        and target_space.padded
        and len(target_space.shape) == 2
    )
    if not (is_frames and isinstance(source_space, Tokens)):
        raise ValueError(
            "needs Tokens and a padded Array of frames and channels, not "
            f"{source_space} to {target_space}"
        )
