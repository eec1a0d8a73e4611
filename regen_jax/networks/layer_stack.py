"""Runs equal blocks one after another, with their parameters stacked by layer.

Every repeated block of a network goes through `LayerStack`, so that one place decides how
layers are laid out, looped over, recomputed and read.
"""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax

from regen_jax.ranges import Remat

Params = Any
"""A tree of arrays."""
ReadParams = Callable[[tuple[str, ...], Params], Params]
"""Called as (path of the stack in the network, parameters of one of its layers)."""

_read_params: contextvars.ContextVar[ReadParams | None] = contextvars.ContextVar(
    "read_params", default=None
)


@contextlib.contextmanager
def reading_params_by(read: ReadParams) -> Iterator[None]:
    """Makes layers compute with `read(path, params)` in place of their own `params`.

    A strategy that splits parameters over devices gathers one layer at a time so. `read`
    is a pure function, called while a network is traced, right before each layer runs;
    with `remat` its result is recomputed and not kept. By default layers compute with
    their parameters as they are. A compiled function keeps what it was traced with.
    """
    token = _read_params.set(read)
    try:
        yield
    finally:
        _read_params.reset(token)


class Layer(NamedTuple):
    """Tells a block which layer of its stack it is.

    Attributes:
      index: i32[], number of the layer, by which its dropout keys differ from those of
        other layers.
      inputs: a tree of arrays for this layer alone, such as its cache, or None.
    """

    index: jax.Array | int
    inputs: Any = None


@functools.partial(jax.jit, static_argnums=0)
def _init(block: nn.Module, keys: jax.Array, *inputs: Any) -> Params:
    """Returns the parameters of a block by each key, stacked."""
    return jax.vmap(lambda key: block.init(key, *inputs))(keys)["params"]


@functools.partial(jax.jit, static_argnums=(0, 1))
def _apply(
    block: nn.Module,
    read: Callable[[Params], Params] | None,
    params: Params,
    x: Any,
    *inputs: Any,
) -> tuple[Any, Any]:
    """Returns what a block returns, with its parameters as `read` gives them."""
    return block.apply({"params": read(params) if read else params}, x, *inputs)


_RECOMPUTING: dict[Remat, Callable] = {"none": lambda run: run, "full": jax.checkpoint}
"""From a layer's function to one whose backward pass recomputes, by policy."""


class LayerStack(nn.Module):
    """Applies `num_layers` blocks of equal shape in a row.

    A block is a Linen module that is called as `block(x, layer, *shared)`, with a `Layer`,
    and returns (x, outputs); outputs are None where there are none. It may have
    parameters, but no other variables. It is traced and lowered once for all layers, and
    for all stacks of equal blocks and shapes: what it computes is a function of its fields,
    which are hashable, and of arrays.

    The parameters of the stack are those of a block with a leading axis of layers: what
    is [D, F] in a block is [num_layers, D, F] here. Each layer is initialized from a key
    of its own, as a block by itself: scales do not depend on the number of layers.

    Attributes:
      block: makes a block, such as `functools.partial(Block, num_heads=4)`; called with
        keyword arguments that Linen knows, such as `parent`.
      num_layers: 0 leaves x as it is.
      first_index: `Layer.index` of the first layer. Stacks that take the same dropout keys
        must not share an index.
      remat: which activations of a layer the backward pass recomputes: `none`, or `full`
        for all of them.
    """

    block: Callable[..., nn.Module]
    num_layers: int
    first_index: int = 0
    remat: Remat = "none"

    @nn.compact
    def __call__(
        self,
        x: Any,
        *shared: Any,
        per_layer: Sequence[Any] | None = None,
        unstacked: Sequence[Params] | None = None,
    ) -> tuple[Any, list[Any]]:
        """Returns the x of the last layer, and a list of the outputs of each layer.

        Args:
          x: a tree of arrays, which each layer maps to one of the same shapes.
          *shared: trees of arrays that all layers take.
          per_layer: `Layer.inputs` of each layer.
          unstacked: what `unstack` returns, for calls within a compiled loop.

        Raises:
          TypeError: a field of the block is not hashable.
        """
        if self.num_layers == 0:
            return x, []
        if per_layer is None:
            per_layer = [None] * self.num_layers
        # A detached block has no variables: they are passed to it, layer by layer.
        block = self.block(parent=None)
        try:
            hash(block)
        except TypeError as error:
            name = type(block).__name__
            raise TypeError(
                f"fields of {name} must be hashable, such as tuples in place of lists: "
                f"{error}"
            ) from None
        if self.is_initializing() and not self.variables.get("params"):
            first = Layer(self.first_index, per_layer[0])
            keys = jax.random.split(self.make_rng("params"), self.num_layers)
            created = _init(block, keys, x, first, *shared)
            for name, params in created.items():
                self.put_variable("params", name, params)

        read = _read_params.get()
        if read is not None:
            read = functools.partial(read, self.path)
        run = _RECOMPUTING[self.remat](functools.partial(_apply, block, read))
        layers = self.unstack() if unstacked is None else unstacked
        outputs = []
        for index, (params, inputs) in enumerate(zip(layers, per_layer, strict=True)):
            layer = Layer(self.first_index + index, inputs)
            x, output = run(params, x, layer, *shared)
            outputs.append(output)
        return x, outputs

    def unstack(self) -> list[Params]:
        """Returns the parameters of each layer.

        XLA does not move this out of a loop. One that applies the stack at every step,
        such as decoding, calls it once before.
        """
        leaves, treedef = jax.tree.flatten(self.variables["params"])
        columns = []
        for leaf in leaves:
            # The gradient of a split is one concatenation, and that of `num_layers`
            # slices is a sum of as many padded arrays.
            parts = jax.lax.split(leaf, [1] * self.num_layers)
            columns.append([part.reshape(leaf.shape[1:]) for part in parts])
        return [treedef.unflatten(layer) for layer in zip(*columns, strict=True)]
