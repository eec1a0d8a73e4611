"""A schedule."""

import dataclasses

import optax

from regen_jax.training.schedules.interface import Schedule


@dataclasses.dataclass(frozen=True)
class Halving(Schedule):
    """Half the learning rate from the middle on."""

    def by_step(self, num_steps: int) -> optax.Schedule:
        middle = {num_steps // 2: 0.5}
        return optax.piecewise_constant_schedule(self.learning_rate, middle)
