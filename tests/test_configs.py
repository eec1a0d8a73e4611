"""Every config, and every combination that it offers, is built and stepped."""

import functools
import importlib.util
from pathlib import Path

import jax
import numpy as np
import pytest

from regen_jax.build import build
from regen_jax.data.pipeline import first_batch
from regen_jax.evaluation import sample
from regen_jax.training.state import Reduction, create, train_step

CONFIGS = Path(__file__).parent.parent / "configs"


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, CONFIGS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


digits = load("digits")
COMBINATIONS = [
    (abstraction, prior, decoder)
    for abstraction, (priors, decoders) in digits.FITTING.items()
    for prior in priors
    for decoder in decoders
]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.py")), ids=lambda p: p.stem)
def test_configs_are_data(path):
    config = load(path.stem).get_config()
    assert config == load(path.stem).get_config("")
    assert "regen_jax" not in path.read_text().replace("regen_jax.train", "")


@pytest.mark.parametrize("abstraction, prior, decoder", COMBINATIONS)
def test_combinations_step_and_generate(abstraction, prior, decoder, digits_dir):
    config = digits.get_config(
        f"abstraction={abstraction},prior={prior},decoder={decoder},size=tiny"
    )
    config.data.dir = digits_dir
    if abstraction == "pixels":
        config.abstraction.levels = 4
    run = build(config)
    batch = first_batch(run.task.examples("train"), 2)
    variables = {}
    for stage in run.stages:
        options = run.train[stage.name]
        options = type(options)(steps=2, batch_size=2, warmup_steps=0)
        if stage.name == "judge":
            continue
        init = functools.partial(create, stage, options, jax.random.key(0), batch)
        state = jax.jit(init)()
        step = jax.jit(functools.partial(train_step, stage, options, Reduction()))
        state, metrics = step(state, variables, batch, jax.random.key(1))
        assert np.isfinite(metrics["loss"]) and metrics["grad_norm"] > 0
        variables[stage.name] = state.averaged
    y_prime, y = sample(run.task, run.regeneration, variables, run.task.prompts(2))
    assert y_prime.shape == (2, *run.regeneration.abstraction.y_prime.shape)
    assert y.shape == (2, 28, 28, 1) and y.dtype == np.uint8


@pytest.mark.parametrize("size", ["demo", "base"])
@pytest.mark.parametrize("abstraction", list(digits.FITTING))
def test_other_sizes_are_built(abstraction, size, digits_dir):
    config = digits.get_config(f"abstraction={abstraction},size={size}")
    config.data.dir = digits_dir
    run = build(config)
    batch = first_batch(run.task.examples("train"), 2)
    for stage in run.stages:
        options = run.train[stage.name]
        shapes = jax.eval_shape(
            functools.partial(create, stage, options, jax.random.key(0), batch)
        )
        assert jax.tree.leaves(shapes.average)


@pytest.mark.parametrize(
    "arg, words",
    [
        ("abstraktion=vq", "no choice 'abstraktion': known are abstraction, prior"),
        ("abstraction=vqq", "abstraction cannot be 'vqq': known are vq, fsq"),
        ("size=package.module:Class", "size cannot be"),
    ],
)
def test_unknown_choices_are_told(arg, words):
    with pytest.raises(ValueError, match=words):
        digits.get_config(arg)


def test_a_part_of_ones_own_can_be_chosen():
    config = digits.get_config("abstraction=my.parts:Edges,prior=diffusion")
    assert config.abstraction.to_dict() == {"name": "my.parts:Edges"}
    assert config.prior.name == "diffusion"
