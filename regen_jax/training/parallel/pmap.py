"""`jax.pmap` over devices."""

import functools
from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from regen_jax.errors import UserError
from regen_jax.training.named_leaves import Tree
from regen_jax.training.parallel import processes
from regen_jax.training.parallel.options import ParallelOptions
from regen_jax.training.parallel.reductions import AXIS, PmapReduction
from regen_jax.training.parallel.strategy import Strategy, addressable_copy
from regen_jax.training.stage import Batch


class PmapStrategy(Strategy):
    """Compiles with `jax.pmap`; each device has a whole copy of the state.

    Raises:
      UserError: there are fewer devices than `options` ask for.
    """

    def __init__(self, options: ParallelOptions):
        count, asked = jax.device_count(), options.axes.data
        self.num_devices = count if asked == -1 else asked
        if self.num_devices > count:
            raise UserError(
                f"config.parallel.axes.data {asked} is more than the {count} devices"
            )
        if processes.count() > 1 and self.num_devices < count:
            raise UserError(
                f"config.parallel.axes.data {asked} is less than the {count} devices of "
                f"{processes.count()} processes: with several, all are used"
            )
        self._devices = jax.devices()[: self.num_devices]
        # Where on the axis this process's devices are.
        self._local_indices = [
            index
            for index, device in enumerate(self._devices)
            if device.process_index == jax.process_index()
        ]
        self._mesh = Mesh(np.array(self._devices), AXIS)
        self._one_copy = (
            SingleDeviceSharding(self._devices[0])
            if processes.count() == 1
            else NamedSharding(self._mesh, PartitionSpec())
        )

    def shardings(self, tree: Tree) -> Tree:
        return jax.tree.map(lambda _: self._one_copy, tree)

    def host_rows(self, batch_size: int) -> np.ndarray:
        rows = np.arange(batch_size).reshape(self.num_devices, -1)
        return rows[self._local_indices].reshape(-1)

    def shard_batch(self, batch: Batch) -> Batch:
        count = len(self._local_indices)
        return jax.tree.map(lambda x: np.reshape(x, (count, -1, *x.shape[1:])), batch)

    def compile(self, step: Callable, shapes: Tree) -> jax.stages.Wrapped:
        return jax.pmap(
            functools.partial(step, PmapReduction()),
            axis_name=AXIS,
            in_axes=(0, 0, 0, None),
            out_axes=(0, None),
            donate_argnums=0,
            devices=self._devices,
        )

    def abstract_step_state(self, shapes: Tree) -> Tree:
        count = len(self._local_indices)
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((count, *x.shape), x.dtype), shapes
        )

    def to_checkpoint_layout(self, tree: Tree) -> Tree:
        # `x[0]` of a whole array would be copied to every device again.
        copy = jax.tree.map(lambda x: addressable_copy(x)[0], tree)
        if processes.count() == 1:
            return copy
        return multihost_utils.host_local_array_to_global_array(
            copy, self._mesh, PartitionSpec()
        )

    def to_step_layout(self, tree: Tree) -> Tree:
        if not jax.tree.leaves(tree):
            return tree
        # One argument to split, as `pmap` wants; the same axis, or steps compile twice.
        copy = jax.pmap(
            lambda _, x: x, axis_name=AXIS, in_axes=(0, None), devices=self._devices
        )
        return copy(np.arange(len(self._local_indices)), self.to_host_copy(tree))

    def to_host_copy(self, tree: Tree) -> Tree:
        if processes.count() == 1:
            return tree
        return jax.tree.map(addressable_copy, tree)
