"""What a strategy is: where states and batches lie, and how steps are compiled."""

import abc
from collections.abc import Callable

import jax
import numpy as np

from regen_jax.training.named_leaves import Tree
from regen_jax.training.stage import Batch


class Strategy(abc.ABC):
    """Places states and batches on devices, and compiles steps.

    All strategies give the numbers of one device on the same global batch, on the devices
    of one process or of several. A state has two layouts: that of checkpoints, with one
    copy of each array, and that of the compiled step.

    Attributes:
      num_devices: over which the examples of a batch are divided.
    """

    num_devices: int

    @abc.abstractmethod
    def shardings(self, tree: Tree) -> Tree:
        """Returns shardings of a tree of arrays or shapes, in the layout of checkpoints."""

    @abc.abstractmethod
    def host_rows(self, batch_size: int) -> np.ndarray:
        """Returns the rows of a global batch that this process reads, i64[R], in order."""

    @abc.abstractmethod
    def shard_batch(self, batch: Batch) -> Batch:
        """Puts this process's rows of a batch onto its devices."""

    @abc.abstractmethod
    def compile(self, step: Callable, shapes: Tree) -> jax.stages.Wrapped:
        """Compiles `step(reduction, state, frozen, batch, rng)` to (state, metrics).

        Args:
          step: takes a `Reduction` first.
          shapes: of the state, which is donated.

        Returns:
          A function of (state, frozen, batch, rng), where the state and the frozen
          variables are in the layout of steps.
        """

    @abc.abstractmethod
    def abstract_step_state(self, shapes: Tree) -> Tree:
        """Returns shapes of a state or variables in the layout of the compiled step."""

    @abc.abstractmethod
    def to_checkpoint_layout(self, tree: Tree) -> Tree:
        """Converts a state or variables from step layout to checkpoint layout."""

    @abc.abstractmethod
    def to_step_layout(self, tree: Tree) -> Tree:
        """Converts a state or variables from checkpoint layout to step layout."""

    @abc.abstractmethod
    def to_host_copy(self, tree: Tree) -> Tree:
        """Returns a tree in the layout of checkpoints for this process alone.

        Each of several processes has a copy, which one of its devices holds: reports are
        made of it.
        """

    def create(self, init: Callable[..., Tree], *arguments: Tree) -> Tree:
        """Makes a new state from the arguments of `init`, in the layout of checkpoints."""
        shardings = self.shardings(jax.eval_shape(init, *arguments))
        return jax.jit(init, out_shardings=shardings)(*arguments)

    def abstract_checkpoint(self, shapes: Tree) -> Tree:
        """Returns shapes with shardings, into which a checkpoint is restored."""
        return jax.tree.map(
            lambda x, sharding: jax.ShapeDtypeStruct(
                x.shape, x.dtype, sharding=sharding
            ),
            shapes,
            self.shardings(shapes),
        )


def addressable_copy(x: jax.Array) -> jax.Array:
    """Returns the part of an array that the first device of this process holds."""
    return x.addressable_data(0)
