"""What a schedule is: a file here, or a class of your own, found by its name."""

import abc
import dataclasses
from typing import ClassVar

import optax

from regen_jax.ranges import Checked, Positive


@dataclasses.dataclass(frozen=True)
class Schedule(Checked, abc.ABC):
    """The learning rate by step.

    A subclass is a frozen dataclass whose other fields are its options, in
    `config.train.<stage>.schedule`. Times are fractions of the steps of a stage, so that
    another number of steps needs no other option.

    Attributes:
      learning_rate: the peak.
    """

    registry: ClassVar[str] = "regen_jax.training.schedules"

    learning_rate: Positive = 1e-3

    @abc.abstractmethod
    def by_step(self, num_steps: int) -> optax.Schedule:
        """Returns the function from the number of steps taken to the learning rate."""
