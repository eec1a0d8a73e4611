"""A judge."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax

from regen_jax.interfaces import Judge, LossOutput, Variables


@dataclasses.dataclass(frozen=True)
class BrightestColumn(Judge):
    """Logistic regression of the column on the mean of each."""

    def init(self, rng: jax.Array, x: jax.Array, y: jax.Array) -> Variables:
        return {"params": {"kernel": jnp.eye(y.shape[2], 3)}}

    def loss(
        self,
        variables: Variables,
        keys: jax.Array,
        x: jax.Array,
        y: jax.Array,
        train: bool,
    ) -> LossOutput:
        logits = self._logits(variables, y)
        return LossOutput(optax.softmax_cross_entropy_with_integer_labels(logits, x))

    def predict(self, variables: Variables, y: np.ndarray) -> np.ndarray:
        """Returns the column of each image, i64[N]."""
        return np.argmax(self._logits(variables, y), axis=1)

    def _logits(self, variables: Variables, y: jax.Array) -> jax.Array:
        return y.mean(axis=(1, 3)) @ variables["params"]["kernel"]
