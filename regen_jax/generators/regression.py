"""The mean of b given a: a decoder for targets that a nearly determines."""

import dataclasses

import jax

from regen_jax.interfaces import Generator, LossOutput, Variables
from regen_jax.losses.squared_error import mean_square, normalized, with_alignment
from regen_jax.networks.conditioning import DiTOptions, as_canvas, is_canvas
from regen_jax.networks.duration_encoder import Canvas
from regen_jax.spaces import Array, Padded, Value


@dataclasses.dataclass(frozen=True)
class Regression(DiTOptions, Generator):
    """E[b | a], by least squares over the normalized target.

    Where a is an array that divides b's axes and has as many channels, the network
    predicts the difference from a, resized, to b; where a is laid out over b, that from
    the text encoder's means.
    """

    targets = (Array,)

    def init(self, rng: jax.Array) -> Variables:
        return self.start(rng)

    def predict(
        self,
        variables: Variables,
        source: Value | Canvas,
        keys: jax.Array | None = None,
    ) -> jax.Array:
        """The normalized mean, float32 [B, *target.shape]; drops out with keys."""
        y = self.network.apply(variables, source, keys=keys)
        if isinstance(source, Canvas):
            y = y + source.mean
        elif is_canvas(self.source_space, self.target_space):
            canvas = as_canvas(self.source_space, self.target_space, source)
            if canvas.shape == y.shape:
                y = y + canvas
        return y

    def loss(
        self,
        variables: Variables,
        keys: jax.Array,
        source: Value,
        target: Value,
        train: bool,
    ) -> LossOutput:
        """Squared error of the normalized target, a mean over values that count."""
        keys = keys if train else None
        found = self.align(variables, source, target, keys) if self.aligned else None
        told = found.canvas if found else source
        error = self.predict(variables, told, keys) - normalized(
            self.target_space, target
        )
        loss = mean_square(error, target)
        return with_alignment("target_loss", loss, found, self.alignment_weight)

    def sample(self, variables: Variables, keys: jax.Array, source: Value) -> Value:
        """The mean itself, [B, *target.shape]: nothing is drawn from the keys."""
        told = self.plan(variables, source)
        return self.finish(self.predict(variables, told), told)

    def alignment(
        self, variables: Variables, source: Value, target: Padded
    ) -> jax.Array | None:
        return self.path(variables, source, target)
