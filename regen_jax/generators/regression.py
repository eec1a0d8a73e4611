"""The mean of b given a: a decoder for targets that a nearly determines."""

import dataclasses

import jax

from regen_jax.interfaces import Generator, Objective, Variables
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
        a: Value | Canvas,
        keys: jax.Array | None = None,
    ) -> jax.Array:
        """The normalized mean, float32 [B, *target.shape]; drops out with keys."""
        y = self.network.apply(variables, a, keys=keys)
        if isinstance(a, Canvas):
            y = y + a.mean
        elif is_canvas(self.source, self.target):
            canvas = as_canvas(self.source, self.target, a)
            if canvas.shape == y.shape:
                y = y + canvas
        return y

    def loss(
        self, variables: Variables, keys: jax.Array, a: Value, b: Value, train: bool
    ) -> Objective:
        """Squared error of the normalized target, a mean over values that count."""
        keys = keys if train else None
        found = self.align(variables, a, b, keys) if self.aligned else None
        told = found.canvas if found else a
        error = self.predict(variables, told, keys) - normalized(self.target, b)
        loss = mean_square(error, b)
        return with_alignment("target_loss", loss, found, self.alignment_weight)

    def sample(self, variables: Variables, keys: jax.Array, a: Value) -> Value:
        """The mean itself, [B, *target.shape]: nothing is drawn from the keys."""
        told = self.plan(variables, a)
        return self.finish(self.predict(variables, told), told)

    def alignment(self, variables: Variables, a: Value, b: Padded) -> jax.Array | None:
        return self.path(variables, a, b)
