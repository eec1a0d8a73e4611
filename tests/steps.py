"""Steps of the stages of configs, traced once for each part that they depend on."""

import dataclasses
import functools
import json
from collections.abc import MutableMapping
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from regen_jax.config.build import Run
from regen_jax.training.optimizers.decay import decayed
from regen_jax.training.parallel.reductions import Reduction
from regen_jax.training.step import create, train_step

KEY = jax.random.key(1)


class TracedStage(NamedTuple):
    """The programs that make the state of a stage, and take a step on two examples."""

    init: jax.stages.Traced
    step: jax.stages.Traced

    @property
    def variables(self) -> Any:
        """Shapes of the variables after a step."""
        state, _ = self.step.out_info
        return state.averaged


def part(config: ConfigDict, stage: str) -> str:
    """Returns what a stage depends on of a config."""
    fields = {
        "abstraction": ("abstraction",),
        "finetune": ("source", "abstraction", "prior", "decoder"),
    }
    # A stage that no section is named after is a judge.
    other = ("source", "abstraction", stage) if stage in config else ()
    fields = fields.get(stage, other)
    chosen = {name: config[name] for name in ("task", "data", *fields)}
    return json.dumps([stage, chosen], default=str, sort_keys=True)


def read_by(stage: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Returns the variables that a stage may read; a prior reads no decoder."""
    unread = "decoder" if stage == "prior" else None
    return {name: tree for name, tree in variables.items() if name != unread}


def trace_stages(
    config: ConfigDict, run: Run, batch: Any, traced: MutableMapping[str, TracedStage]
) -> dict[str, TracedStage]:
    """Traces the stages of a run, and checks what a step returns.

    Args:
      config: of the run.
      run: built of it.
      batch: of two examples.
      traced: stages of this and other runs, by `part`; new ones are added.
    """
    stages, frozen = {}, {}
    for stage in run.stages:
        key = part(config, stage.name)
        if key not in traced:
            options = dataclasses.replace(
                run.train[stage.name], batch_size=2, accumulate=1
            )
            init = jax.jit(functools.partial(create, stage, options)).trace(KEY, batch)
            step = functools.partial(train_step, stage, options, Reduction())
            read = read_by(stage.name, frozen)
            step = jax.jit(step).trace(init.out_info, read, batch, KEY)
            traced[key] = TracedStage(init, step)
            _, metrics = step.out_info
            assert metrics["loss"].shape == metrics["grad_norm"].shape == ()
            _assert_only_kernels_are_decayed(traced[key].variables["params"])
        stages[stage.name] = traced[key]
        frozen = {**frozen, stage.name: traced[key].variables}
    return stages


def _assert_only_kernels_are_decayed(params):
    leaves = jax.tree_util.tree_leaves_with_path(decayed(params))
    names = {leaf: set() for leaf in (True, False)}
    for path, leaf in leaves:
        names[leaf].add(path[-1].key)
    assert names[True] == {"kernel"} or not leaves  # As in `nearest`.
    # A new name says here that its arrays are no kernels.
    assert names[False] <= {
        *("bias", "scale", "embedding", "positions"),
        *("null", "start", "queries", "mixture"),
    }
