"""`jax.jit` over a data × fsdp mesh."""

import functools
from collections.abc import Callable

import jax
import numpy as np
from jax.sharding import (
    AxisType,
    NamedSharding,
    PartitionSpec,
    Sharding,
    SingleDeviceSharding,
)

from regen_jax.errors import UserError
from regen_jax.training.named_leaves import Tree, map_named
from regen_jax.training.parallel import processes
from regen_jax.training.parallel.options import MeshAxes, ParallelOptions
from regen_jax.training.parallel.reductions import MeshReduction, Reduction
from regen_jax.training.parallel.split_axes import split_axis
from regen_jax.training.parallel.strategy import Strategy, addressable_copy
from regen_jax.training.stage import Batch


class ShardedStrategy(Strategy):
    """Compiles with `jax.jit`; parameters are split over `fsdp` devices by rule.

    Both layouts of a state are the same.

    Raises:
      UserError: the devices do not make the mesh of `options`.
    """

    def __init__(self, options: ParallelOptions):
        self._options = options
        data, fsdp = _mesh_shape(options.axes)
        self.num_devices = data * fsdp
        # Auto axes: under Explicit ones JAX raises on gathers of codebooks.
        self._mesh = jax.make_mesh(
            (data, fsdp),
            ("data", "fsdp"),
            axis_types=(AxisType.Auto, AxisType.Auto),
            devices=jax.devices()[: self.num_devices],
        )
        self._examples = self._sharding(("data", "fsdp"))
        self._replicated = self._sharding()
        self._replicate = jax.jit(lambda tree: tree, out_shardings=self._replicated)

    def shardings(self, tree: Tree) -> Tree:
        def sharding(name: str, leaf: jax.Array) -> Sharding:
            axis = split_axis(self._options, name, leaf.shape)
            if axis is None:
                return self._replicated
            return self._sharding(*[None] * axis, "fsdp")

        return map_named(sharding, tree)

    def host_rows(self, batch_size: int) -> np.ndarray:
        by_device = self._examples.addressable_devices_indices_map((batch_size,))
        rows = np.arange(batch_size)
        return np.unique(np.concatenate([rows[i] for i in by_device.values()]))

    def shard_batch(self, batch: Batch) -> Batch:
        return jax.tree.map(
            lambda x: jax.make_array_from_process_local_data(self._examples, x), batch
        )

    def compile(self, step: Callable, shapes: Tree) -> jax.stages.Wrapped:
        reduction = Reduction()
        if self.num_devices > 1:
            split = self._options.axes.fsdp > 1
            reduction = MeshReduction(
                self._examples, self._replicated, self.shardings, split
            )
        return jax.jit(
            functools.partial(step, reduction),
            donate_argnums=0,
            out_shardings=(self.shardings(shapes), self._replicated),
        )

    def abstract_step_state(self, shapes: Tree) -> Tree:
        return self.abstract_checkpoint(shapes)

    def to_checkpoint_layout(self, tree: Tree) -> Tree:
        return tree

    def to_step_layout(self, tree: Tree) -> Tree:
        return jax.device_put(tree, self.shardings(tree))

    def to_host_copy(self, tree: Tree) -> Tree:
        if processes.count() == 1:
            return tree
        return jax.tree.map(addressable_copy, self._replicate(tree))

    def _sharding(self, *spec) -> Sharding:
        if self.num_devices == 1:
            # Types of arrays say on what mesh they lie: without one, steps, reports and
            # samples share what is traced.
            return SingleDeviceSharding(self._mesh.devices.item())
        return NamedSharding(self._mesh, PartitionSpec(*spec))


def _mesh_shape(axes: MeshAxes) -> tuple[int, int]:
    """Returns the devices along data and fsdp; raises a UserError if there are too few."""
    count = jax.device_count()
    data = count // axes.fsdp if axes.data == -1 else axes.data
    asked = data * axes.fsdp
    if asked > count or data < 1:
        raise UserError(
            f"config.parallel.axes asks for data {axes.data} x fsdp {axes.fsdp} devices, "
            f"but there are {count}"
        )
    if axes.data == -1 and count % axes.fsdp:
        raise UserError(
            f"config.parallel.axes.fsdp {axes.fsdp} does not divide {count} devices"
        )
    if processes.count() > 1 and asked < count:
        raise UserError(
            f"config.parallel.axes asks for {asked} of the {count} devices of "
            f"{processes.count()} processes: with several, all are used"
        )
    return data, axes.fsdp
