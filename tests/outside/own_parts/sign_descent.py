"""An optimizer."""

import dataclasses

import optax

from regen_jax.training.optimizers.interface import Optimizer


@dataclasses.dataclass(frozen=True)
class SignDescent(Optimizer):
    """Steps of the size of the learning rate, by the signs of gradients."""

    def transformation(
        self, learning_rate: optax.Schedule
    ) -> optax.GradientTransformation:
        return optax.sign_sgd(learning_rate)
