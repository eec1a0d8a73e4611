"""Networks that evaluate samples."""

import abc

import jax

from regen_jax.interfaces.types import Variables
from regen_jax.loss_output import LossOutput


class Judge(abc.ABC):
    """A model that a task trains as a stage of its own; pure functions, like the rest."""

    @abc.abstractmethod
    def init(self, rng: jax.Array, x: jax.Array, y: jax.Array) -> Variables:
        """Returns variables at the start of training, from a batch."""

    @abc.abstractmethod
    def loss(
        self,
        variables: Variables,
        keys: jax.Array,
        x: jax.Array,
        y: jax.Array,
        train: bool,
    ) -> LossOutput:
        """Computes the objective on real pairs x, y [B, …]; one key per example."""
