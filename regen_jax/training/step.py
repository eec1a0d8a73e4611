"""The state of a stage, and one step of it: (state, batch) to (state, metrics)."""

from collections.abc import Callable

import flax.struct
import jax
import jax.numpy as jnp
import optax

from regen_jax.loss_output import averaging_by
from regen_jax.random import strata, stratifying_by
from regen_jax.training.optimizers.groups import check_groups, grouped
from regen_jax.training.parallel.reductions import Reduction
from regen_jax.training.stage import Batch, Frozen, Stage, StageOptions, Tree


@flax.struct.dataclass
class TrainState:
    """Everything that a stage remembers between steps; nothing random lives in it.

    Attributes:
      step: i32[], steps taken.
      variables: dict of collections: `params` and what else the model keeps.
      averages: exponential moving averages of `params`, one for each of
        `StageOptions.ema`.
      optimizer: the state of optax.
    """

    step: jax.Array
    variables: Tree
    averages: tuple[Tree, ...]
    optimizer: Tree

    @property
    def averaged(self) -> Tree:
        """Variables for evaluation and sampling: their parameters are the first average."""
        if not self.averages:
            return self.variables
        return {**self.variables, "params": self.averages[0]}


def create(
    stage: Stage,
    options: StageOptions,
    rng: jax.Array,
    batch: Batch,
    pretrained: Tree | None = None,
) -> TrainState:
    """Returns the state before the first step.

    Args:
      stage: makes its variables.
      options: of the stage.
      rng: a key, for the variables.
      batch: of any size, for shapes and data-dependent starts.
      pretrained: what `Stage.pretrained` returned; only shapes matter without it. Parts
        of `params` that it lacks start as those of `Stage.init`.

    Raises:
      UserError: a group of the optimizer has no parameters.
    """
    initial = stage.init(rng, batch)
    variables = {**initial, **(pretrained or {})}
    params = variables["params"] = {**initial["params"], **variables["params"]}
    check_groups(f"config.train.{stage.name}.optimizer", options.optimizer, params)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        variables=variables,
        # Copies, since the step donates the buffers of all.
        averages=tuple(jax.tree.map(jnp.copy, params) for _ in options.ema),
        optimizer=_optimizer(options).init(params),
    )


def train_step(
    stage: Stage,
    options: StageOptions,
    reduction: Reduction,
    state: TrainState,
    frozen: Frozen,
    batch: Batch,
    rng: jax.Array,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """Takes a step on this device's part of the global batch.

    Random numbers are a function of (rng, step, example), so that a step can be taken
    again, and gives the same on any number of devices.

    Returns:
      The next state, and metrics of the global batch, f32[] each.
    """
    step_rng = jax.random.fold_in(rng, state.step)
    update_rng, examples_rng = jax.random.split(step_rng)
    # Split as one key per example is: of all examples, those on this device.
    strata_rng = jax.random.fold_in(step_rng, 2)
    randoms = (
        jax.random.split(examples_rng, options.batch_size),
        strata(strata_rng, options.batch_size),
    )
    randoms = jax.tree.map(reduction.local_keys, randoms)

    def loss(params, randoms, batch):
        keys, strata_B = randoms
        variables = {**state.variables, "params": params}
        variables = reduction.all_gather_params(variables)
        frozen_variables = reduction.all_gather_params(frozen)
        averaging = averaging_by(reduction.global_mean, reduction.global_batch)
        with averaging, stratifying_by(strata_B):
            output = stage.loss(variables, frozen_variables, keys, batch, True)
        # A sum: only of the global batch is it known what it is divided by.
        return output.weighted_sums()["loss"][0], output

    gradient = _accumulated(jax.grad(loss, has_aux=True), options.accumulate)
    grads, output = gradient(state.variables["params"], randoms, batch)
    grads, output = reduction.sum_grads(grads), reduction.gather_output(output)
    sums = output.weighted_sums()
    grads = jax.tree.map(lambda grad: grad / sums["loss"][1], grads)

    updates, optimizer_state = _optimizer(options).update(
        grads, state.optimizer, state.variables["params"]
    )
    params = optax.apply_updates(state.variables["params"], updates)
    variables = stage.update({**state.variables, "params": params}, update_rng, output)
    new_state = TrainState(
        step=state.step + 1,
        variables=variables,
        averages=_updated_averages(options, state, params),
        optimizer=optimizer_state,
    )
    learning_rate = options.schedule.by_step(max(options.steps, 1))(state.step)
    return new_state, {
        **{name: total / weight for name, (total, weight) in sums.items()},
        "grad_norm": optax.tree.norm(grads),
        "learning_rate": jnp.asarray(learning_rate, jnp.float32),
    }


def _optimizer(options: StageOptions) -> optax.GradientTransformation:
    # A schedule has a step, though a stage without parameters takes none.
    return grouped(options.optimizer, options.schedule.by_step(max(options.steps, 1)))


def _updated_averages(
    options: StageOptions, state: TrainState, params: Tree
) -> tuple[Tree, ...]:
    # Early weights are forgotten sooner, so that a short run has an average too.
    most = (1 + state.step) / (10 + state.step)
    return tuple(
        optax.incremental_update(params, average, 1 - jnp.minimum(decay, most))
        for decay, average in zip(options.ema, state.averages, strict=True)
    )


def _accumulated(gradient: Callable, count: int) -> Callable:
    """Returns the gradient of a sum, and the output, from `count` micro-batches in turn."""
    if count == 1:
        return gradient

    def split(x: jax.Array) -> jax.Array:
        # Micro-batch i takes every count-th example, so that each device keeps its own.
        return x.reshape(-1, count, *x.shape[1:]).swapaxes(0, 1)

    def join(x: jax.Array) -> jax.Array:
        return x.swapaxes(0, 1).reshape(-1, *x.shape[2:])

    def accumulated(params: Tree, randoms: Tree, batch: Batch):
        def add(total, micro):
            grads, output = gradient(params, *micro)
            return jax.tree.map(jnp.add, total, grads), output

        zero = jax.tree.map(jnp.zeros_like, params)
        micro_batches = jax.tree.map(split, (randoms, batch))
        grads, stacked = jax.lax.scan(add, zero, micro_batches)
        output = jax.tree.map(join, stacked.replace(sums={}))
        sums = jax.tree.map(lambda x: x.sum(axis=0), stacked.sums)
        return grads, output.replace(sums=sums)

    return accumulated
