"""Classifier-free guidance."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax import ranges
from regen_jax.generators.diffusion.interfaces import Guidance, Predict
from regen_jax.generators.sampling.logits import classifier_free_guidance
from regen_jax.ranges import Fraction
from regen_jax.spaces import Value


@dataclasses.dataclass(frozen=True)
class ClassifierFree(Guidance):
    """Extrapolates from the prediction without a source to that with it.

    Ho and Salimans, arXiv 2207.12598.

    Attributes:
      scale: 1 samples p(target | source), at the cost of one prediction; more moves away
        from p(target), at twice the cost; 0 samples p(target).
      interval: times at which a guided step may start; other steps have the scale 1
        (Kynkäänniemi et al., arXiv 2404.07724).
    """

    scale: ranges.Guidance = 1.0
    interval: tuple[Fraction, Fraction] = (0.0, 1.0)

    def __post_init__(self):
        ranges.check(self)
        low, high = self.interval
        if low > high:
            raise ValueError(
                f"interval must be two rising times in [0, 1], not {self.interval}"
            )

    @property
    def needs_unconditional(self) -> bool:
        return self.scale != 1

    def predict(
        self, network: Predict, source: Value, x: jax.Array, time_B: jax.Array
    ) -> jax.Array:
        drop = jnp.full(x.shape[0], self.scale == 0)
        if self.scale in (0, 1):
            return network(source, drop, x, time_B)
        # One call with a batch of 2 B.
        source, x, time_B = jax.tree.map(
            lambda v: jnp.concatenate([v, v]), (source, x, time_B)
        )
        y = network(source, jnp.concatenate([drop, ~drop]), x, time_B)
        return classifier_free_guidance(*jnp.split(y, 2), self.scale)

    def at(self, time: float) -> Guidance:
        low, high = self.interval
        return self if low <= time <= high else ClassifierFree()
