"""Least squares: one prediction of the target, for those that the source determines."""

import dataclasses

import jax

from regen_jax.generators.array_generator import ArrayGenerator
from regen_jax.interfaces import Key, LossOutput, Variables
from regen_jax.losses.squared_error import mean_square, normalize_target
from regen_jax.spaces import Value, zeros


@dataclasses.dataclass(frozen=True)
class Regression(ArrayGenerator):
    """Predicts E[target given source], by least squares over the normalized target.

    Suits targets that the source almost determines. Where the source gives an estimate of
    the target (see `Conditioning.estimate`), the network predicts the difference from it.
    """

    def init(self, rng: jax.Array) -> Variables:
        return self.module.init(rng, zeros(self.source_space, 1))

    def predict(
        self, variables: Variables, source: Value, keys: jax.Array | None = None
    ) -> jax.Array:
        """Returns the normalized mean, f32[B, *target.shape]; with keys for dropout."""
        mean = self.module.apply(variables, source, keys=keys)
        spaces = self.source_space, self.target_space
        estimate = self.conditioning.estimate(*spaces, source)
        return mean if estimate is None else estimate.mean + estimate.scale * mean

    def loss(
        self, variables: Variables, keys: Key, source: Value, target: Value, train: bool
    ) -> LossOutput:
        """Returns the mean squared error of the normalized target, without padding."""
        mean = self.predict(variables, source, keys if train else None)
        error = mean - normalize_target(self.target_space, target)
        return LossOutput(mean_square(error, target))

    def sample(self, variables: Variables, keys: jax.Array, source: Value) -> Value:
        """Returns the mean itself, [B, *target.shape]: nothing is drawn from the keys."""
        return self.to_data_space(self.predict(variables, source), source)
