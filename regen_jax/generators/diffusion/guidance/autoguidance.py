"""Guidance of a network by a worse version of itself."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.generators.diffusion.interfaces import GuidanceMethod, Predict
from regen_jax.generators.sampling.logits import classifier_free_guidance
from regen_jax.spaces import Value


@dataclasses.dataclass(frozen=True)
class Autoguidance(GuidanceMethod):
    """Extrapolates from the prediction of an early checkpoint to that of the last.

    Karras et al., arXiv 2406.02507, equation 3: both see the source, so that samples get
    better without getting more alike. The early checkpoint is what `guide_steps` keeps.
    Above scale 1 a step costs two predictions.
    """

    needs_guide = True

    def predict(
        self,
        network: Predict,
        guide: Predict | None,
        source: Value,
        x: jax.Array,
        time_B: jax.Array,
        scale: float,
    ) -> jax.Array:
        drop = jnp.zeros(x.shape[0], bool)
        prediction = network(source, drop, x, time_B)
        if scale == 1:
            return prediction
        assert guide is not None
        early = guide(source, drop, x, time_B)
        return classifier_free_guidance(prediction, early, scale)
