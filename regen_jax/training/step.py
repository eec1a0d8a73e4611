"""The state of a stage, and one step of it: (state, batch) to (state, metrics)."""

from collections.abc import Callable

import flax.struct
import jax
import jax.numpy as jnp
import optax

from regen_jax.training.optimizer import learning_rate, optimizer
from regen_jax.training.stage import Batch, Frozen, Stage, StageOptions, Tree


@flax.struct.dataclass
class TrainState:
    """Everything a stage remembers between steps; nothing random lives in it.

    Attributes:
      step: i32[], steps taken.
      variables: dict of collections: `params` and what else the model keeps.
      average: the exponential moving average of `params`.
      optimizer: the state of optax.
    """

    step: jax.Array
    variables: Tree
    average: Tree
    optimizer: Tree

    @property
    def averaged(self) -> Tree:
        """Variables with averaged weights, for evaluation and sampling."""
        return {**self.variables, "params": self.average}


def create(
    stage: Stage, options: StageOptions, rng: jax.Array, batch: Batch
) -> TrainState:
    """The state before the first step; `batch` may set data-dependent starts."""
    variables = stage.init(rng, batch)
    params = variables["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        variables=variables,
        # A copy, since the step donates the buffers of both.
        average=jax.tree.map(jnp.copy, params),
        optimizer=optimizer(options).init(params),
    )


def train_step(
    stage: Stage,
    options: StageOptions,
    reduce: "Reduction",
    state: TrainState,
    frozen: Frozen,
    batch: Batch,
    rng: jax.Array,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """One step on this device's share of the global batch.

    Random numbers are a function of (rng, step, example), so that a step can be taken
    again, and gives the same on any number of devices. Metrics are f32[] each.
    """
    step_rng = jax.random.fold_in(rng, state.step)
    update_rng, examples_rng = jax.random.split(step_rng)
    keys = reduce.keys(jax.random.split(examples_rng, options.batch_size))

    def loss(params, keys, batch):
        variables = reduce.whole({**state.variables, "params": params})
        objective = stage.loss(variables, reduce.whole(frozen), keys, batch, True)
        # A sum: only of the global batch is it known what it is divided by.
        return objective.weighted_sums()["loss"][0], objective

    gradient = _accumulated(jax.grad(loss, has_aux=True), options.accumulate)
    grads, objective = gradient(state.variables["params"], keys, batch)
    grads, objective = reduce.gradients(grads), reduce.objective(objective)
    sums = objective.weighted_sums()
    grads = jax.tree.map(lambda g: g / sums["loss"][1], grads)

    updates, optimizer_state = optimizer(options).update(
        grads, state.optimizer, state.variables["params"]
    )
    params = optax.apply_updates(state.variables["params"], updates)
    variables = stage.update(
        {**state.variables, "params": params}, update_rng, objective
    )
    # Early weights are forgotten sooner, so that a short run has an average too.
    decay = jnp.minimum(options.ema_decay, (1 + state.step) / (10 + state.step))
    new_state = TrainState(
        step=state.step + 1,
        variables=variables,
        average=optax.incremental_update(params, state.average, 1 - decay),
        optimizer=optimizer_state,
    )
    return new_state, {
        **{name: total / weight for name, (total, weight) in sums.items()},
        "grad_norm": optax.tree.norm(grads),
        "learning_rate": jnp.asarray(learning_rate(options)(state.step), jnp.float32),
    }


class Reduction:
    """From one device's share to the global batch; `training.parallel` has others.

    This one is for programs that see the global batch: nothing is left to reduce.
    """

    def whole(self, variables: Tree) -> Tree:
        """Variables as a loss reads them: all of each array on this device."""
        return variables

    def keys(self, keys: jax.Array) -> jax.Array:
        """This device's share of one key for each example of the global batch."""
        return keys

    def gradients(self, grads: Tree) -> Tree:
        """The sum over devices."""
        return grads

    def objective(self, objective: Tree) -> Tree:
        """What each example of the global batch has, and its totals."""
        return objective


def _accumulated(gradient: Callable, count: int) -> Callable:
    """The gradient of a sum, and the objective, from `count` micro-batches in turn."""
    if count == 1:
        return gradient

    def split(x: jax.Array) -> jax.Array:
        # Micro-batch i takes every count-th example, so that each device keeps its own.
        return x.reshape(-1, count, *x.shape[1:]).swapaxes(0, 1)

    def join(x: jax.Array) -> jax.Array:
        return x.swapaxes(0, 1).reshape(-1, *x.shape[2:])

    def accumulated(params: Tree, keys: jax.Array, batch: Batch):
        def add(total, micro):
            grads, objective = gradient(params, *micro)
            return jax.tree.map(jnp.add, total, grads), objective

        zero = jax.tree.map(jnp.zeros_like, params)
        micro_batches = jax.tree.map(split, (keys, batch))
        grads, stacked = jax.lax.scan(add, zero, micro_batches)
        objective = jax.tree.map(join, stacked.replace(sums={}))
        totals = jax.tree.map(lambda x: x.sum(axis=0), stacked.sums)
        return grads, objective.replace(sums=totals)

    return accumulated
