"""Every config, and every combination that it offers, is built and stepped."""

import functools
import importlib.util
import itertools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.config.build import build
from regen_jax.data.host_features import as_batch, open_examples
from regen_jax.data.pipeline import first_batch
from regen_jax.evaluation.inference import example_keys, sample
from regen_jax.spaces import check
from regen_jax.training.optimizers.decay import decayed
from regen_jax.training.parallel.reductions import Reduction
from regen_jax.training.schedules.warmup_cosine import WarmupCosine
from regen_jax.training.step import create, train_step

CONFIGS = Path(__file__).parent.parent / "configs"


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, CONFIGS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NAMES = sorted(path.stem for path in CONFIGS.glob("*.py"))


def offered(name: str) -> list[str]:
    """Every combination that a config offers, as its argument."""
    module = load(name)
    if hasattr(module, "FITTING"):
        return [
            f"abstraction={abstraction},prior={prior},decoder={decoder}"
            for abstraction, (priors, decoders) in module.FITTING.items()
            for prior in priors
            for decoder in decoders
        ]
    choices = {k: v for k, v in module.CHOICES.items() if k != "size"}
    pairs = [[f"{key}={value}" for value in values] for key, values in choices.items()]
    return [",".join(chosen) for chosen in itertools.product(*pairs)]


COMBINATIONS = [(name, arg) for name in NAMES for arg in offered(name)]
DEFAULTS = [(name, offered(name)[0]) for name in NAMES]
OTHERS = [
    ("speech_synthesis", "source=identity"),
    ("speech_recognition", "data=spoken_bible"),
]


FOLDERS = {
    "digits": "digits_dir",
    "harmony": "music_dir",
    "melody": "music_dir",
    "pronunciation": "speech_dir",
    "simplification": "text_dir",
    "speech_recognition": "speech_dir",
    "speech_synthesis": "speech_dir",
}


@pytest.fixture
def config_of(request):
    """A config of that name and argument on the data of the tests."""

    def get(name: str, arg: str):
        config = load(name).get_config(arg)
        config.data.dir = request.getfixturevalue(FOLDERS[name])
        if "max_seconds" in config.data:
            config.data.max_seconds = 1.024
        return config

    return get


@pytest.mark.parametrize("name", NAMES)
def test_configs_are_data(name):
    config = load(name).get_config()
    assert config == load(name).get_config("")
    text = (CONFIGS / f"{name}.py").read_text()
    assert "regen_jax" not in text.replace("regen_jax.train", "")


STEPPED = {}
"""Variables of stages by `part`: combinations share what they have in common."""


BUILT = set()
"""The parts that have been built at their sizes."""


def part(config, stage: str) -> str:
    """What a stage depends on of a config."""
    fields = {"judge": (), "abstraction": ("abstraction",)}
    fields = fields.get(stage, ("source", "abstraction", stage))
    chosen = {name: config[name] for name in ("task", "data", *fields)}
    return json.dumps([stage, chosen], default=str, sort_keys=True)


def stepped(stage, options, variables, batch):
    """The variables of a stage after its first step."""
    options = type(options)(steps=2, batch_size=2, schedule=WarmupCosine(warmup=0.0))
    init = functools.partial(create, stage, options, jax.random.key(0), batch)
    state = jax.jit(init)()
    if stage.name != "judge":
        step = jax.jit(functools.partial(train_step, stage, options, Reduction()))
        state, metrics = step(state, variables, batch, jax.random.key(1))
        assert np.isfinite(metrics["loss"]) and metrics["grad_norm"] > 0
    return state.averaged


@pytest.mark.parametrize("name, arg", COMBINATIONS + OTHERS)
def test_combinations_step_and_generate(name, arg, config_of):
    config = config_of(name, f"{arg},size=tiny")
    if "levels" in config.abstraction:
        config.abstraction.levels = 4
    run = build(config)
    examples = open_examples(run.task, run.regeneration, "train")
    batch = first_batch(examples, 2)
    variables = {}
    for stage in run.stages:
        known = part(config, stage.name)
        if known not in STEPPED:
            STEPPED[known] = stepped(stage, run.train[stage.name], variables, batch)
        variables[stage.name] = STEPPED[known]
    prompts = as_batch(run.task.prompts(2), run.regeneration)
    if (name, arg) in DEFAULTS:
        y_prime, y = sample(run.task, run.regeneration, variables, prompts)
        y_space = run.regeneration.abstraction.output_space
        check(y_space, jax.tree.map(jnp.asarray, y_prime), "Y′")
    else:
        # Compiling is most of the work, and mistakes show before.
        prompt, keys = run.regeneration.prompt(prompts), example_keys(0, 0, 2)
        _, y = jax.eval_shape(run.regeneration.generate, variables, keys, prompt)
    assert jax.tree.leaves(y)[0].shape == (2, *run.task.y.shape)


def assert_only_kernels_are_decayed(params):
    leaves = jax.tree_util.tree_leaves_with_path(decayed(params))
    names = {leaf: set() for leaf in (True, False)}
    for path, leaf in leaves:
        names[leaf].add(path[-1].key)
    assert names[True] == {"kernel"}
    # A new name says here that its arrays are no kernels.
    assert names[False] <= {
        *("bias", "scale", "embedding", "positions"),
        *("null", "start", "queries", "mixture"),
    }


@pytest.mark.parametrize("name, arg", COMBINATIONS)
def test_other_sizes_are_built(name, arg, config_of):
    assert build(config_of(name, f"{arg},size=demo")).stages
    config = config_of(name, f"{arg},size=base")
    run = build(config)
    examples = open_examples(run.task, run.regeneration, "train")
    batch = first_batch(examples, 2)
    for stage in run.stages:
        known = part(config, stage.name)
        if known not in BUILT:
            options = run.train[stage.name]
            init = functools.partial(create, stage, options, jax.random.key(0), batch)
            assert_only_kernels_are_decayed(jax.eval_shape(init).average)
            BUILT.add(known)


@pytest.mark.parametrize(
    "arg, words",
    [
        ("abstraktion=vq", "no choice 'abstraktion': known are abstraction, prior"),
        ("abstraction=vqq", "abstraction cannot be 'vqq': known are vq, fsq"),
        ("size=package.module:Class", "size cannot be"),
    ],
)
def test_unknown_choice_raises_value_error(arg, words):
    with pytest.raises(ValueError, match=words):
        load("digits").get_config(arg)


def test_a_part_of_ones_own_can_be_chosen():
    config = load("digits").get_config("abstraction=my.parts:Edges,prior=diffusion")
    assert config.abstraction.to_dict() == {"name": "my.parts:Edges"}
    assert config.prior.name == "diffusion"
