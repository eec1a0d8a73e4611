"""AdamW (Loshchilov and Hutter, arXiv 1711.05101)."""

import dataclasses

import optax

from regen_jax.ranges import NonNegative, Rate
from regen_jax.training.optimizers.decay import decayed
from regen_jax.training.optimizers.interface import Optimizer


@dataclasses.dataclass(frozen=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay.

    Attributes:
      beta1: decay of the mean of gradients.
      beta2: decay of the mean of squared gradients.
      decay: weight decay per unit of the learning rate, of `DECAYED` parameters alone.
    """

    beta1: Rate = 0.9
    beta2: Rate = 0.99
    decay: NonNegative = 0.01

    def transformation(
        self, learning_rate: optax.Schedule
    ) -> optax.GradientTransformation:
        return optax.adamw(
            learning_rate,
            b1=self.beta1,
            b2=self.beta2,
            weight_decay=self.decay,
            mask=decayed,
        )
