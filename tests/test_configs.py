"""Every config, and every combination that it offers, is built and stepped."""

import functools
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from ml_collections import ConfigDict

from regen_jax.config import options_table
from regen_jax.config.build import build
from regen_jax.data.host_features import as_batch, open_examples
from regen_jax.data.pipeline import first_batch
from regen_jax.data.tfds import embedded
from regen_jax.data.tfds.prepare import prepare
from regen_jax.random import example_keys
from regen_jax.spaces import check
from regen_jax.training.step import create
from tests.steps import trace_stages

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"


@functools.cache
def load(name: str):
    return importlib.import_module(f"configs.{name}")


NAMES = sorted(
    path.stem
    for path in CONFIGS.glob("*.py")
    if "\ndef get_config(" in path.read_text()
)


def offered(name: str) -> list[str]:
    """Every combination that a config offers, as its argument."""
    module = load(name)
    combinations = [{}]
    for key in ("direction", "abstraction", "prior", "decoder"):
        if key in module.CHOICES:
            combinations = [
                chosen | {key: value}
                for chosen in combinations
                for value in fitting_values(module, key, chosen)
            ]
    return [",".join(f"{k}={v}" for k, v in each.items()) for each in combinations]


def fitting_values(module, key: str, chosen: dict[str, str]) -> tuple[str, ...]:
    """Values of a choice that fit the chosen abstraction; all where nothing is said."""
    abstraction = f"abstraction={chosen.get('abstraction')}"
    fits = getattr(module, "FITTING", {}).get(abstraction, {})
    return fits.get(key, module.CHOICES[key])


def sizes(name: str) -> list[str]:
    """The sizes of a config above `tiny`, the largest last; `tiny` where it is alone."""
    offered_sizes = load(name).CHOICES["size"]
    return [size for size in offered_sizes if size != "tiny"] or ["tiny"]


COMBINATIONS = [(name, arg) for name in NAMES for arg in offered(name)]
OTHERS = [
    ("speech_synthesis", "source=identity"),
    ("speech_recognition", "data=spoken_bible"),
    ("real_clips", "data=moving_digits"),
    ("digits", "finetune=yes"),
    ("digits", "prior=masked,finetune=yes"),
]


@pytest.fixture
def config_of(data_dir):
    """A config of that name and argument on the data of the tests."""

    def get(name: str, arg: str):
        config = load(name).get_config(arg)
        config.data.dir = data_dir
        for value in config.data.values():
            if value in embedded.names():
                prepare(value, data_dir)  # Where no fixture has made it smaller.
        if "max_seconds" in config.data and "size=tiny" in arg:
            config.data.max_seconds = 1.024
        return config

    return get


@pytest.mark.parametrize("name", NAMES)
def test_config_without_argument_is_data(name):
    config = load(name).get_config()
    assert config == load(name).get_config("")
    text = (CONFIGS / f"{name}.py").read_text()
    assert "regen_jax" not in text.replace("regen_jax.train", "")


def sections(config: ConfigDict):
    yield config
    for value in config.values():
        if isinstance(value, ConfigDict):
            yield from sections(value)


@pytest.mark.parametrize(
    "name, arg, size",
    [(*each, size) for each in COMBINATIONS for size in load(each[0]).CHOICES["size"]],
)
def test_sections_of_config_share_nothing(name, arg, size):
    """An option that a flag sets is set in one place."""
    config = load(name).get_config(f"{arg},size={size}")
    identities = [id(section) for section in sections(config)]
    assert len(set(identities)) == len(identities)


TRACED = {}
"""Stages by `part`: combinations share them."""


@pytest.mark.parametrize(
    "name, arg", [each for each in COMBINATIONS if each[0] != "digits"] + OTHERS
)
def test_combination_steps_and_generates(name, arg, config_of):
    """They are traced; `test_golden.py` runs the stages of each config's default.

    Those of digits are in `test_combinations.py`.
    """
    config = config_of(name, f"{arg},size=tiny")
    run = build(config)
    examples = open_examples(run.task, run.regeneration, "train")
    batch = first_batch(examples, 2)
    stages = trace_stages(config, run, batch, TRACED)
    variables = {name: stage.variables for name, stage in stages.items()}
    prompts = as_batch(run.task.prompts(2), run.regeneration)
    prompt, keys = (
        run.regeneration.prompt(prompts),
        example_keys(jax.random.key(0), 0, 2),
    )

    def generate(variables, keys, prompt):
        y_prime, y = run.regeneration.generate(variables, keys, prompt)
        check(run.regeneration.abstraction.output_space, y_prime, "Y′")
        return y

    y = jax.eval_shape(generate, variables, keys, prompt)
    assert jax.tree.leaves(y)[0].shape == (2, *run.task.y.shape)


@pytest.mark.parametrize("name, arg", COMBINATIONS)
def test_other_sizes_of_combination_are_built(name, arg, config_of):
    for size in sizes(name):
        assert build(config_of(name, f"{arg},size={size}")).stages


@pytest.mark.parametrize("name", NAMES)
def test_largest_size_of_default_is_initialized(name, config_of):
    run = build(config_of(name, f"{offered(name)[0]},size={sizes(name)[-1]}"))
    examples = open_examples(run.task, run.regeneration, "train")
    batch = first_batch(examples, 2)
    for stage in run.stages:
        options = run.train[stage.name]
        init = functools.partial(create, stage, options, jax.random.key(0), batch)
        assert jax.eval_shape(init).step.shape == ()


def test_tiny_size_keeps_optimizer_groups_and_starts_every_loss():
    config = load("digits").get_config("abstraction=vqgan,size=tiny")
    larger = load("digits").get_config("abstraction=vqgan")
    optimizers = [c.train.abstraction.optimizer for c in (config, larger)]
    assert optimizers[0] == optimizers[1] and optimizers[0].groups
    steps = config.train.abstraction.steps
    assert all(loss.get("start", 0) < steps for loss in config.abstraction.losses)


def test_tiny_size_generates_as_much_of_y_prime_for_finetune():
    configs = [
        load("digits").get_config(f"finetune=yes,size={size}")
        for size in ("tiny", "demo")
    ]
    tiny, demo = (config.train.finetune.generated for config in configs)
    assert tiny == demo < 1


def test_adversary_has_an_optimizer_group_wherever_it_trains():
    arg = "abstraction=vqgan,finetune=yes"
    train = load("digits").get_config(arg).train
    assert train.finetune.optimizer.groups == train.abstraction.optimizer.groups != ()
    own = load("digits").get_config(f"{arg},decoder=regression").train
    assert "groups" not in own.finetune.optimizer and own.abstraction.optimizer.groups


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


def test_own_part_can_be_chosen():
    config = load("digits").get_config("abstraction=my.parts:Edges,prior=diffusion")
    assert config.abstraction.to_dict() == {"name": "my.parts:Edges"}
    assert config.prior.name == "diffusion"


README = (CONFIGS / "README.md").read_text()


def chapter(name: str) -> str:
    """Returns the text on choices of a config, with that on all configs before it."""
    general, *chapters = README.partition(options_table.MARK)[0].split("\n### ")
    (own,) = (text for text in chapters if f"| `configs/{name}.py:…`" in text)
    return general + own


@pytest.mark.parametrize("name", NAMES)
def test_documentation_names_every_choice(name):
    words = set(re.findall(r"\w+", chapter(name)))
    for key, values in load(name).CHOICES.items():
        assert {*values} <= words, key


def test_table_of_options_is_that_of_docstrings():
    table = README.partition(options_table.MARK)[2]
    assert table.strip() == options_table.markdown().strip(), (
        "run python -m regen_jax.config.options_table configs/README.md"
    )


def all_classes() -> dict[str, type]:
    kinds = options_table.parts().items()
    parts = {f"{k.__name__}.{n}": c for k, classes in kinds for n, c in classes.items()}
    return parts | options_table.SECTIONS


@pytest.mark.parametrize("name", all_classes())
def test_option_has_a_meaning(name):
    options = list(options_table.options(all_classes()[name]))
    assert not [option.name for option in options if not option.meaning]


def test_own_config_in_other_folder_trains(tmp_path, digits_dir):
    """The package `configs` is found where only `regen_jax` itself can be imported."""
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "mine.py").write_text(example)
    command = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import regen_jax;"
        "sys.path.pop(0); from regen_jax import train;"
        "from regen_jax.cli import commands; commands.run(train.main)"
    )
    run = subprocess.run(
        [
            *(sys.executable, "-c", command),
            f"--config={tmp_path}/mine.py:prior=regression,size=tiny",
            f"--config.data.dir={digits_dir}",
            "--config.train.judge.steps=2",
            "--stop_after=judge",
            "--workdir=run",
        ],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "run").is_dir()
