"""What a stage computes once, after its last step."""

import dataclasses
from collections.abc import Callable, Iterator

import jax

from regen_jax.interfaces import Passes
from regen_jax.training.named_leaves import Tree, named_leaves
from regen_jax.training.parallel.strategy import Strategy
from regen_jax.training.stage import Batch, Frozen, Stage
from regen_jax.training.step import TrainState


def finalize(
    stage: Stage,
    strategy: Strategy,
    state: TrainState,
    frozen: Frozen,
    batches: Callable[[], Iterator[Batch]],
) -> TrainState:
    """Returns the state with the collections that `Stage.finalize` computes.

    Each process computes them by itself from all batches, as it does reports, so that they
    do not depend on how many processes there are.

    Args:
      stage: whose `finalize` it is; without one, the state stays as it is.
      strategy: of the run.
      state: after the last step, in the layout of steps.
      frozen: variables of finished stages, in the layout of checkpoints.
      batches: makes an iterator over the training examples, once, in order.

    Raises:
      ValueError: a collection is new, or has arrays of other shapes or dtypes, which no
        checkpoint of the stage could hold.
    """
    if stage.finalize is None:
        return state
    stored = strategy.to_checkpoint_layout(state)
    variables = stage.finalize(
        strategy.to_host_copy(stored.averaged),
        strategy.to_host_copy(frozen),
        Passes(batches),
    )
    collections = {name: tree for name, tree in variables.items() if name != "params"}
    _check_arrays(stage.name, collections, stored.variables)
    # Named as in a state, since they lie on the devices by their names.
    finalized = {"variables": jax.device_get(collections)}
    finalized = jax.device_put(finalized, strategy.shardings(finalized))
    finalized = strategy.to_step_layout(finalized)["variables"]
    variables = {**state.variables, **finalized}
    return dataclasses.replace(state, variables=variables)


def _check_arrays(stage: str, collections: Tree, before: Tree) -> None:
    expected = {name: tree for name, tree in before.items() if name != "params"}
    kinds = [
        {name: (x.shape, x.dtype) for name, x in named_leaves(tree).items()}
        for tree in (collections, expected)
    ]
    if kinds[0] != kinds[1]:
        raise ValueError(
            f"finalize of stage '{stage}' returned {kinds[0]}, and its variables before "
            f"were {kinds[1]}"
        )
