"""Traces the steps and samples of a run, whose traces forks of this process share.

JAX keeps the programs of functions by their code and the types of their arguments. To
trace them takes no device, and may use none: forks of a process that did would hang.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from jax._src import xla_bridge

from regen_jax.cli import stored_task
from regen_jax.cli.load_run import blank_batch, read_config
from regen_jax.config.build import Run, build
from regen_jax.training.parallel.reductions import Reduction
from regen_jax.training.step import create, train_step

KEY = jax.eval_shape(lambda: jax.random.key(0))


@functools.cache
def trace(workdir: str) -> None:
    """Traces the steps of a run's stages, and its samples, as commands compile them.

    Raises:
      RuntimeError: a device was used.
    """
    folder = Path(workdir)
    run = build(read_config(folder), reports=False, info=stored_task.read_info(folder))
    blank = jax.eval_shape(lambda: blank_batch(run.task, run.regeneration))
    variables: dict[str, Any] = {}
    for stage in run.stages:
        options = run.train[stage.name]
        batch = _shapes(blank, options.batch_size)
        step = functools.partial(train_step, stage, options, Reduction())
        for first_batch in (blank, batch):
            init = functools.partial(create, stage, options)
            state = jax.eval_shape(init, KEY, first_batch)
        jax.eval_shape(step, state, variables, batch, KEY)
        variables = {**variables, stage.name: state.averaged}
    _trace_samples(run, blank, variables)
    if xla_bridge.backends_are_initialized():
        raise RuntimeError("tracing used a device: forks of this process would hang")


def _trace_samples(run: Run, blank: Any, variables: Mapping[str, Any]) -> None:
    number = run.evaluation.num_samples
    batch = _shapes(blank, number)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), number))
    prompt, reference = (
        run.regeneration.prompt(batch),
        run.regeneration.reference(batch),
    )
    jax.eval_shape(run.regeneration.generate, variables, keys, prompt)
    jax.eval_shape(run.regeneration.reconstruct, variables, keys, reference)


def _shapes(blank: Any, size: int) -> Any:
    """Returns the shapes of a batch of that size."""
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((size, *x.shape[1:]), x.dtype), blank
    )
