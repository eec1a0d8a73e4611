"""Guidance of a network by a worse version of itself."""

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
class Autoguidance(GuidanceMethod):
    """Extrapolates from the prediction of an early checkpoint to that of the last.

    Karras et al., arXiv 2406.02507, equation 3: both see the source, so that samples get
    better without getting more alike. The early checkpoint is what `guide_steps` keeps.
    Above scale 1 a step costs two predictions.
    """

    needs_guide = True

    def predict(
        self, network: Predict, guide: Predict | None, inputs: Inputs, scale: float
    ) -> jax.Array:
        drop = jnp.zeros(inputs.time_B.shape, bool)
        prediction = network(inputs, drop)
        if scale == 1:
            return prediction
        assert guide is not None
        return classifier_free_guidance(prediction, guide(inputs, drop), scale)
