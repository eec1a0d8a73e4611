"""The mean of b given a: a decoder for targets that a nearly determines."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.interfaces import Generator, Objective, Variables
from regen_jax.networks.conditioning import DiTOptions, as_canvas, is_canvas
from regen_jax.spaces import Array, zeros


@dataclasses.dataclass(frozen=True)
class Regression(DiTOptions, Generator):
    """E[b | a], by least squares over the normalized target.

    Where a is an array that divides b's axes and has as many channels, the network
    predicts the difference from a, resized, to b.
    """

    targets = (Array,)

    def init(self, rng: jax.Array) -> Variables:
        return self.network.init(rng, zeros(self.source, 1))

    def predict(
        self, variables: Variables, a: jax.Array, keys: jax.Array | None = None
    ) -> jax.Array:
        """The normalized mean, float32 [B, *target.shape]; drops out with keys."""
        y = self.network.apply(variables, a, keys=keys)
        if is_canvas(self.source, self.target):
            canvas = as_canvas(self.source, self.target, a)
            if canvas.shape == y.shape:
                y = y + canvas
        return y

    def loss(
        self,
        variables: Variables,
        keys: jax.Array,
        a: jax.Array,
        b: jax.Array,
        train: bool,
    ) -> Objective:
        """Squared error of the normalized target; `mse` is that of b as it is."""
        error = self.predict(variables, a, keys if train else None)
        error -= self.target.normalize(b)
        loss = jnp.square(error).mean(axis=range(1, error.ndim))
        scale = (self.target.high - self.target.low) / 2 if self.target.bounded else 1
        return Objective(loss=loss, metrics={"mse": loss * scale**2})

    def sample(self, variables: Variables, keys: jax.Array, a: jax.Array) -> jax.Array:
        """The mean itself, [B, *target.shape]: nothing is drawn from the keys."""
        b = self.target.denormalize(self.predict(variables, a))
        return jnp.clip(b, self.target.low, self.target.high)
