"""What an optimizer is: a file here, or a class of your own, found by its name."""

import abc
import dataclasses
from typing import ClassVar

import optax

from regen_jax import ranges
from regen_jax.ranges import Checked, NonNegative, Positive


@dataclasses.dataclass(frozen=True)
class Optimizer(Checked, abc.ABC):
    """A rule from gradients to updates of parameters.

    A subclass is a frozen dataclass whose other fields are its options, in
    `config.train.<stage>.optimizer`.

    Attributes:
      clip_norm: largest norm of the gradients of a group; larger ones are scaled down.
      groups: parameters with options of their own. A parameter belongs to the first group
        whose pattern occurs in its path; those of no group, by default all, are updated
        by this optimizer.
    """

    registry: ClassVar[str] = "regen_jax.training.optimizers"

    clip_norm: Positive = 1.0
    groups: tuple["ParameterGroup", ...] = ()

    def __post_init__(self):
        super().__post_init__()
        for index, group in enumerate(self.groups):
            if group.optimizer is not None and group.optimizer.groups:
                raise ValueError(
                    f"groups[{index}].optimizer has groups of its own: list all groups in "
                    "one place"
                )

    @abc.abstractmethod
    def transformation(
        self, learning_rate: optax.Schedule
    ) -> optax.GradientTransformation:
        """Returns the update for gradients that are clipped already.

        Args:
          learning_rate: from the number of steps taken, i32[], to the learning rate.
        """


@dataclasses.dataclass(frozen=True)
class ParameterGroup(Checked):
    """Parameters of a stage that are updated apart from the others.

    Attributes:
      pattern: a regular expression, searched for in paths such as
        `discriminators/conv_0/kernel`.
      learning_rate_scale: factor of the learning rate of the schedule.
      optimizer: that of the group; None takes the one that the group is listed in.
    """

    pattern: str
    learning_rate_scale: NonNegative = 1.0
    optimizer: Optimizer | None = None

    def __post_init__(self):
        super().__post_init__()
        ranges.check_pattern("pattern", self.pattern)
