"""Combines the devices' parts of a step into results of the global batch.

Models return statistics and losses per example; only this module depends on how examples
are divided over devices.
"""

import functools
from collections.abc import Callable

import jax
from jax.sharding import Sharding

from regen_jax.training.named_leaves import Tree

AXIS = "devices"
"""The axis that `jax.pmap` names."""


class Reduction:
    """Reduces nothing: the program sees the global batch on one device."""

    def all_gather_params(self, variables: Tree) -> Tree:
        """Returns variables as a loss reads them: all of each array on this device."""
        return variables

    def local_keys(self, keys: jax.Array) -> jax.Array:
        """Returns this device's part of one key or number per example of the batch."""
        return keys

    def sum_grads(self, grads: Tree) -> Tree:
        """Returns the sum of gradients over devices."""
        return grads

    def gather_output(self, output: Tree) -> Tree:
        """Returns the `LossOutput` of the global batch from that of this device."""
        return output

    def global_mean(self, x: Tree) -> Tree:
        """Returns the mean over the global batch from means over this device's examples."""
        return x

    def global_batch(self, x: Tree) -> Tree:
        """Returns arrays of all examples from those of this device."""
        return x


class MeshReduction(Reduction):
    """For programs that XLA partitions over a mesh: they see the global batch.

    Parameters that are split are gathered before a loss reads them, and their gradients
    split again. Left to itself, the partitioner also splits activations, by features, and
    sends these around in every layer.

    Attributes:
      examples: where the examples of a batch lie.
      replicated: where gathered parameters lie.
      shardings: from variables to where each of their arrays lies.
      split: whether any array is split.
    """

    def __init__(
        self,
        examples: Sharding,
        replicated: Sharding,
        shardings: Callable[[Tree], Tree],
        split: bool,
    ):
        self.examples, self.replicated = examples, replicated
        self.shardings, self.split = shardings, split

    def local_keys(self, keys: jax.Array) -> jax.Array:
        return jax.lax.with_sharding_constraint(keys, self.examples)

    def all_gather_params(self, variables: Tree) -> Tree:
        if not self.split:
            return variables
        shardings = self.shardings(variables)

        @jax.custom_vjp
        def gather(variables):
            return jax.lax.with_sharding_constraint(variables, self.replicated)

        def scatter(_, grads):
            return (jax.tree.map(_constrain_grad, grads, shardings),)

        gather.defvjp(lambda variables: (gather(variables), None), scatter)
        return gather(variables)


class PmapReduction(Reduction):
    """For programs under `jax.pmap`, each of which sees the examples of its device."""

    def local_keys(self, keys: jax.Array) -> jax.Array:
        by_device = keys.reshape(jax.lax.axis_size(AXIS), -1)
        return by_device[jax.lax.axis_index(AXIS)]

    def sum_grads(self, grads: Tree) -> Tree:
        return jax.lax.psum(grads, AXIS)

    def gather_output(self, output: Tree) -> Tree:
        gather = functools.partial(jax.lax.all_gather, axis_name=AXIS, tiled=True)
        return output.replace(
            loss=gather(output.loss),
            metrics=jax.tree.map(gather, output.metrics),
            sums=jax.lax.psum(output.sums, AXIS),
            per_example=jax.tree.map(gather, output.per_example),
            weights=jax.tree.map(gather, output.weights),
        )

    def global_mean(self, x: Tree) -> Tree:
        return jax.lax.pmean(x, AXIS)

    def global_batch(self, x: Tree) -> Tree:
        return jax.lax.all_gather(x, AXIS, tiled=True)


def _constrain_grad(grad: jax.Array, sharding: Sharding) -> jax.Array:
    # Integers have no gradient.
    if grad.dtype == jax.dtypes.float0:
        return grad
    return jax.lax.with_sharding_constraint(grad, sharding)
