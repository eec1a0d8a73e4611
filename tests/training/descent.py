"""Plain gradient descent, an optimizer and a schedule that are easy to follow by hand."""

import dataclasses

import optax

from regen_jax.training.optimizers.interface import Optimizer
from regen_jax.training.schedules.interface import Schedule


@dataclasses.dataclass(frozen=True)
class Descent(Optimizer):
    """Steps against the gradient."""

    clip_norm: float = 1e9

    def transformation(self, learning_rate):
        return optax.sgd(learning_rate)


@dataclasses.dataclass(frozen=True)
class Constant(Schedule):
    """The same learning rate at every step."""

    def by_step(self, num_steps):
        return optax.constant_schedule(self.learning_rate)
