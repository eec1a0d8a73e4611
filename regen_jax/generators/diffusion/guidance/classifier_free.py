"""Classifier-free guidance."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.generators.diffusion.interfaces import GuidanceMethod, Predict
from regen_jax.generators.sampling.logits import classifier_free_guidance
from regen_jax.spaces import Value


@dataclasses.dataclass(frozen=True)
class ClassifierFree(GuidanceMethod):
    """Extrapolates from the prediction without a source to that with it.

    Ho and Salimans, arXiv 2207.12598.

    At scale 1 a sample follows p(target | source), at the cost of one prediction; above, it
    moves away from p(target), at twice the cost; scale 0 samples p(target).
    """

    needs_dropout = True

    def predict(
        self,
        network: Predict,
        guide: Predict | None,
        source: Value,
        x: jax.Array,
        time_B: jax.Array,
        scale: float,
    ) -> jax.Array:
        drop = jnp.full(x.shape[0], scale == 0)
        if scale in (0, 1):
            return network(source, drop, x, time_B)
        # One call with a batch of 2 B.
        source, x, time_B = jax.tree.map(
            lambda v: jnp.concatenate([v, v]), (source, x, time_B)
        )
        y = network(source, jnp.concatenate([drop, ~drop]), x, time_B)
        return classifier_free_guidance(*jnp.split(y, 2), scale)
