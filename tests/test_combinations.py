"""Combinations of digits: each distinct stage and sampler is traced, a dozen run.

They are all that fit, not only those that the config names. Stages and samplers are
distinct by their parts, with their spaces: a prior of the codes of `vq` is that of the
codes of `fsq`.
"""

import functools
import itertools
import random

import jax
import numpy as np
import pytest

from configs import digits
from regen_jax.config.build import build
from regen_jax.data.host_features import as_batch, open_examples
from regen_jax.data.pipeline import first_batch
from regen_jax.errors import UserError
from regen_jax.interfaces import Passes
from regen_jax.random import example_keys
from regen_jax.spaces import check
from tests.steps import KEY, part, read_by, trace_stages

ROLES = ("abstraction", "prior", "decoder")


@pytest.fixture(scope="module")
def fitting(digits_dir):
    """(config, run) of each combination that fits."""
    combinations = []
    for chosen in itertools.product(*(digits.CHOICES[role] for role in ROLES)):
        pairs = [f"{role}={name}" for role, name in zip(ROLES, chosen, strict=True)]
        config = digits.get_config(",".join([*pairs, "size=tiny"]))
        config.data.dir = digits_dir
        if "levels" in config.abstraction:
            config.abstraction.levels = 4
        try:
            combinations.append((config, build(config, reports=False)))
        except UserError:
            continue
    return combinations


@pytest.fixture(scope="module")
def traced():
    """Traced stages by part: combinations share them."""
    return {}


def examples(run):
    """Two examples to train on, and two prompts with their keys."""
    batch = first_batch(open_examples(run.task, run.regeneration, "train"), 2)
    prompts = as_batch(run.task.prompts(2), run.regeneration)
    return (
        batch,
        run.regeneration.prompt(prompts),
        example_keys(jax.random.key(0), 0, 2),
    )


def generate(run, variables, keys, prompt):
    y_prime, y = run.regeneration.generate(variables, keys, prompt)
    check(run.regeneration.abstraction.output_space, y_prime, "Y′")
    return check(run.task.y, y, "Y")


def sample(run, variables, keys, batch):
    parts = run.regeneration
    y_prime = parts.prior.sample(variables["prior"], keys, parts.represent({}, batch))
    return check(parts.abstraction.output_space, y_prime, "Y′")


def reconstruct(run, variables, keys, batch):
    y = run.regeneration.reconstruct(variables, keys, batch)
    return check(run.task.y, y, "Y")


SAMPLERS = {"prior": sample, "decoder": reconstruct}
"""What draws with a part; without a decoder, the abstraction reconstructs."""


def distinct(run, names, seen):
    """Those of the parts that were not seen yet, after which they are."""
    parts = vars(run.regeneration)
    parts = parts | {"decoder": parts["decoder"] or parts["abstraction"]}
    new = {(name, repr(parts.get(name))) for name in names} - seen
    seen |= new
    return {name for name, _ in new}


def test_each_distinct_stage_and_sampler_is_traced(fitting, traced):
    assert len(fitting) >= 80
    stages, samplers = set(), set()
    for config, run in fitting:
        names = [stage.name for stage in run.stages]
        new = distinct(run, names, stages)
        sampled = distinct(run, SAMPLERS, samplers)
        if not new | sampled:
            continue
        batch, _, keys = examples(run)
        programs = trace_stages(config, run, batch, traced)
        variables = {name: program.variables for name, program in programs.items()}
        for name in sampled:
            sampler = functools.partial(SAMPLERS[name], run)
            value = jax.eval_shape(sampler, variables, keys, batch)
            assert all(len(leaf) == 2 for leaf in jax.tree.leaves(value))
    assert {name for name, _ in stages} == {"judge", *ROLES}


def test_dozen_of_combinations_step_and_generate(fitting, traced):
    finished = {}
    for config, run in random.Random(0).sample(fitting, 12):
        batch, prompt, keys = examples(run)
        programs = trace_stages(config, run, batch, traced)
        variables = {}
        for stage in run.stages:
            key = part(config, stage.name)
            if key not in finished:
                finished[key] = run_step(stage, programs[stage.name], variables, batch)
            variables[stage.name] = finished[key]
        y = jax.jit(functools.partial(generate, run))(variables, keys, prompt)
        assert np.isfinite(y).all()


def run_step(stage, program, frozen, batch):
    """Variables of a stage after a step, and what it computes after its last one.

    Weights are drawn here: to compile what initializes them takes as long as the step.
    """
    rng = np.random.default_rng(0)

    def draw(leaf):
        return rng.uniform(0.01, 0.1, leaf.shape).astype(leaf.dtype)

    state = jax.tree.map(
        lambda leaf: np.zeros(leaf.shape, leaf.dtype), program.init.out_info
    )
    variables = jax.tree.map(draw, state.variables)
    averages = tuple(variables["params"] for _ in state.averages)
    state = state.replace(variables=variables, averages=averages)
    if stage.pretrained is not None:
        pretrained = stage.pretrained(frozen)
        state = state.replace(variables={**state.variables, **pretrained})
    step = program.step.lower().compile()
    state, metrics = step(state, read_by(stage.name, frozen), batch, KEY)
    assert np.isfinite(metrics["loss"]) and state.step == 1
    if stage.finalize is None:
        return state.averaged
    return stage.finalize(state.averaged, frozen, Passes(lambda: iter([batch])))
