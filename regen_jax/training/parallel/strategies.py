"""Devices: the only module that knows there may be more than one.

A strategy places states and batches and compiles steps. Both give the numbers of one
device on the same global batch, on the devices of one process or of several.
"""

import dataclasses
import functools
import re
from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from regen_jax.errors import UserError
from regen_jax.ranges import Count, Natural
from regen_jax.training.parallel import processes
from regen_jax.training.stage import Batch, Tree
from regen_jax.training.step import Reduction

AXIS = "devices"


@dataclasses.dataclass(frozen=True)
class ParallelOptions:
    """`config.parallel`.

    Attributes:
      strategy: `sharded` (jit over a data × fsdp mesh) or `pmap` (replicated).
      data: devices that hold different examples; -1 takes what `fsdp` leaves.
      fsdp: devices that a parameter is split over; they hold different examples too.
      rules: (pattern, tactic) pairs; the first pattern found in a parameter's path
        decides: `fsdp` splits its largest axis that divides, `replicate` does not.
      min_size: arrays with fewer values are replicated whatever the rules say.
    """

    strategy: str = "sharded"
    data: int = -1
    fsdp: Count = 1
    rules: tuple[tuple[str, str], ...] = ((".*", "fsdp"),)
    min_size: Natural = 1024

    def __post_init__(self):
        if self.strategy not in ("sharded", "pmap"):
            raise ValueError(
                f"strategy must be 'sharded' or 'pmap', not {self.strategy!r}"
            )
        if self.strategy == "pmap" and self.fsdp != 1:
            raise ValueError(
                f"fsdp {self.fsdp} needs strategy 'sharded'; pmap keeps whole copies"
            )
        if self.fsdp < 1 or (self.data < 1 and self.data != -1):
            raise ValueError(
                f"needs fsdp of 1 or more and data of 1 or more or -1, "
                f"not {self.fsdp} and {self.data}"
            )
        for pattern, tactic in self.rules:
            if tactic not in ("fsdp", "replicate"):
                raise ValueError(
                    f"rule {pattern!r} has tactic {tactic!r}: known are fsdp, replicate"
                )


class Sharded:
    """jit with `NamedSharding` over a data × fsdp mesh; parameters are split by rule."""

    def __init__(self, options: ParallelOptions):
        count = jax.device_count()
        data = count // options.fsdp if options.data == -1 else options.data
        if data * options.fsdp > count or data < 1:
            raise UserError(
                f"config.parallel asks for data {options.data} x fsdp {options.fsdp} "
                f"devices, but there are {count}"
            )
        if options.data == -1 and count % options.fsdp:
            raise UserError(
                f"config.parallel.fsdp {options.fsdp} does not divide {count} devices"
            )
        if processes.count() > 1 and data * options.fsdp < count:
            raise UserError(
                f"config.parallel asks for {data * options.fsdp} of the {count} devices "
                f"of {processes.count()} processes: with several, all are used"
            )
        self.options = options
        # Auto axes: under Explicit ones the gathers of codebooks are refused.
        self.mesh = jax.make_mesh(
            (data, options.fsdp),
            ("data", "fsdp"),
            axis_types=(AxisType.Auto, AxisType.Auto),
            devices=jax.devices()[: data * options.fsdp],
        )
        self.num_devices = data * options.fsdp
        self._examples = self._sharding(("data", "fsdp"))
        self._whole = self._sharding()
        self._replicate = jax.jit(lambda tree: tree, out_shardings=self._whole)

    def shardings(self, state: Tree) -> Tree:
        """Where each array of a state (or of its shapes) lies."""
        return jax.tree_util.tree_map_with_path(self._rule, state)

    def create(self, init: Callable[[], Tree]) -> Tree:
        """One copy of a new state, made where it will lie."""
        shardings = self.shardings(jax.eval_shape(init))
        return jax.jit(init, out_shardings=shardings)()

    def abstract(self, shapes: Tree) -> Tree:
        """Shapes with shardings: what a checkpoint is restored to."""
        return _with_shardings(shapes, self.shardings(shapes))

    def rows(self, batch_size: int) -> np.ndarray:
        """The rows of a global batch that this process reads, in order."""
        held = self._examples.addressable_devices_indices_map((batch_size,))
        rows = np.arange(batch_size)
        return np.unique(np.concatenate([rows[index] for index in held.values()]))

    def batch(self, batch: Batch) -> Batch:
        """This process's rows of a batch, on its devices."""
        return jax.tree.map(
            lambda x: jax.make_array_from_process_local_data(self._examples, x), batch
        )

    def compile(self, step: Callable, state: Tree) -> Callable:
        """`step(reduce, state, frozen, batch, rng)` as (state, frozen, batch, rng)."""
        return jax.jit(
            functools.partial(step, _Gathering(self)),
            donate_argnums=0,
            out_shardings=(self.shardings(state), self._whole),
        )

    def placed(self, shapes: Tree) -> Tree:
        """Shapes of a state or variables as the compiled step takes them."""
        return self.abstract(shapes)

    def stored(self, tree: Tree) -> Tree:
        """One copy of a state or variables, as checkpoints hold it."""
        return tree

    def spread(self, tree: Tree) -> Tree:
        """The inverse of `stored`: as the compiled step takes it."""
        return jax.device_put(tree, self.shardings(tree))

    def local(self, tree: Tree) -> Tree:
        """What `stored` gives, for this process alone: for reports.

        Of several processes each has a copy, which one of its devices holds.
        """
        if processes.count() == 1:
            return tree
        return jax.tree.map(_of_one_device, self._replicate(tree))

    def _sharding(self, *spec) -> NamedSharding:
        return NamedSharding(self.mesh, PartitionSpec(*spec))

    def _rule(self, path: tuple, leaf) -> NamedSharding:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        tactic = next(
            (t for p, t in self.options.rules if re.search(p, name)), "replicate"
        )
        size = self.options.fsdp
        axes = [i for i, n in enumerate(leaf.shape) if n % size == 0]
        if tactic == "replicate" or leaf.size < self.options.min_size or not axes:
            return self._whole
        spec = [None] * len(leaf.shape)
        spec[max(axes, key=lambda i: leaf.shape[i])] = "fsdp"
        return self._sharding(*spec)


class _Gathering(Reduction):
    """Gathers what is split before a loss reads it, and splits its gradient again.

    Left to itself, the partitioner also splits activations, by features, and sends
    these around in every layer.
    """

    def __init__(self, strategy: "Sharded"):
        self._strategy = strategy

    def keys(self, keys: jax.Array) -> jax.Array:
        return jax.lax.with_sharding_constraint(keys, self._strategy._examples)

    def whole(self, variables: Tree) -> Tree:
        strategy = self._strategy
        if strategy.options.fsdp == 1:
            return variables
        places = strategy.shardings(variables)

        @jax.custom_vjp
        def gather(variables):
            return jax.lax.with_sharding_constraint(variables, strategy._whole)

        def split(_, grads):
            return (jax.tree.map(_constrained, grads, places),)

        gather.defvjp(lambda variables: (gather(variables), None), split)
        return gather(variables)


def _constrained(grad: jax.Array, place: NamedSharding) -> jax.Array:
    # Integers have no gradient.
    if grad.dtype == jax.dtypes.float0:
        return grad
    return jax.lax.with_sharding_constraint(grad, place)


class Pmapped:
    """`jax.pmap` over the devices, each with a whole copy of the state."""

    def __init__(self, options: ParallelOptions):
        count = jax.device_count()
        self.num_devices = count if options.data == -1 else options.data
        if self.num_devices > count:
            raise UserError(
                f"config.parallel.data {options.data} is more than the {count} devices"
            )
        if processes.count() > 1 and self.num_devices < count:
            raise UserError(
                f"config.parallel.data {options.data} is less than the {count} devices "
                f"of {processes.count()} processes: with several, all are used"
            )
        self.devices = jax.devices()[: self.num_devices]
        # Where in the axis this process's devices are.
        self._places = [
            place
            for place, device in enumerate(self.devices)
            if device.process_index == jax.process_index()
        ]
        mesh = Mesh(np.array(self.devices), AXIS)
        self._one = (
            jax.sharding.SingleDeviceSharding(self.devices[0])
            if processes.count() == 1
            else NamedSharding(mesh, PartitionSpec())
        )

    def shardings(self, state: Tree) -> Tree:
        return jax.tree.map(lambda _: self._one, state)

    def create(self, init: Callable[[], Tree]) -> Tree:
        return jax.jit(init, out_shardings=self._one)()

    def abstract(self, shapes: Tree) -> Tree:
        return _with_shardings(shapes, self.shardings(shapes))

    def rows(self, batch_size: int) -> np.ndarray:
        rows = np.arange(batch_size).reshape(self.num_devices, -1)
        return rows[self._places].reshape(-1)

    def batch(self, batch: Batch) -> Batch:
        return jax.tree.map(
            lambda x: np.reshape(x, (len(self._places), -1, *x.shape[1:])), batch
        )

    def compile(self, step: Callable, state: Tree) -> Callable:
        return jax.pmap(
            functools.partial(step, _OverDevices()),
            axis_name=AXIS,
            in_axes=(0, 0, 0, None),
            out_axes=(0, None),
            donate_argnums=0,
            devices=self.devices,
        )

    def placed(self, shapes: Tree) -> Tree:
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((len(self._places), *x.shape), x.dtype),
            shapes,
        )

    def stored(self, tree: Tree) -> Tree:
        copy = jax.tree.map(_first_copy, tree)
        if processes.count() == 1:
            return copy
        return multihost_utils.host_local_array_to_global_array(
            copy, self._one.mesh, self._one.spec
        )

    def spread(self, tree: Tree) -> Tree:
        if not jax.tree.leaves(tree):
            return tree
        # One argument to split, as `pmap` wants; the same axis, or steps compile twice.
        copy = jax.pmap(
            lambda _, x: x, axis_name=AXIS, in_axes=(0, None), devices=self.devices
        )
        return copy(np.arange(len(self._places)), self.local(tree))

    def local(self, tree: Tree) -> Tree:
        if processes.count() == 1:
            return tree
        return jax.tree.map(_of_one_device, tree)


class _OverDevices(Reduction):
    """Reductions over the axis that `jax.pmap` names."""

    def keys(self, keys: jax.Array) -> jax.Array:
        shares = keys.reshape(jax.lax.axis_size(AXIS), -1)
        return shares[jax.lax.axis_index(AXIS)]

    def gradients(self, grads: Tree) -> Tree:
        return jax.lax.psum(grads, AXIS)

    def objective(self, objective: Tree) -> Tree:
        gather = functools.partial(jax.lax.all_gather, axis_name=AXIS, tiled=True)
        return objective.replace(
            loss=gather(objective.loss),
            metrics=jax.tree.map(gather, objective.metrics),
            sums=jax.lax.psum(objective.sums, AXIS),
            per_example=jax.tree.map(gather, objective.per_example),
            weights=jax.tree.map(gather, objective.weights),
        )


Strategy = Sharded | Pmapped


def make_strategy(options: ParallelOptions) -> Strategy:
    """The strategy on this machine's devices; `UserError` where they are too few."""
    return Pmapped(options) if options.strategy == "pmap" else Sharded(options)


def check_batch(
    where: str, batch_size: int, accumulate: int, strategy: Strategy
) -> None:
    """`UserError` where micro-batches do not divide among the devices."""
    count = strategy.num_devices
    if batch_size % (accumulate * count):
        raise UserError(
            f"{where}.batch_size {batch_size} does not divide into {accumulate} "
            f"micro-batches on {count} devices: use a multiple of {accumulate * count}"
        )


def _of_one_device(x: jax.Array) -> jax.Array:
    return x.addressable_data(0)


def _first_copy(x: jax.Array) -> jax.Array:
    # `x[0]` of the whole would be copied to every device again.
    return x.addressable_data(0)[0]


def _with_shardings(shapes: Tree, shardings: Tree) -> Tree:
    return jax.tree.map(
        lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        shapes,
        shardings,
    )
