"""Classifier-free guidance."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.generators.diffusion.interfaces import (
    GuidanceMethod,
    Inputs,
    Predict,
)
from regen_jax.generators.sampling.logits import classifier_free_guidance


@dataclasses.dataclass(frozen=True)
class ClassifierFree(GuidanceMethod):
    """Extrapolates from the prediction without a source to that with it.

    Ho and Salimans, arXiv 2207.12598.

    At scale 1 a sample follows p(target | source), at the cost of one prediction; above, it
    moves away from p(target), at twice the cost; scale 0 samples p(target).
    """

    needs_dropout = True

    def predict(
        self, network: Predict, guide: Predict | None, inputs: Inputs, scale: float
    ) -> jax.Array:
        drop = jnp.full(inputs.time_B.shape, scale == 0)
        if scale in (0, 1):
            return network(inputs, drop)
        # One call with a batch of 2 B.
        inputs = jax.tree.map(lambda v: jnp.concatenate([v, v]), inputs)
        y = network(inputs, jnp.concatenate([drop, ~drop]))
        return classifier_free_guidance(*jnp.split(y, 2), scale)
