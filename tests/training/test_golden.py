"""Stages give the numbers they always gave: two steps and a sample of given weights.

A change of these numbers is a change of what users get: say so where it is made. They
hold for every supported JAX, on a CPU. To record them again:

RECORD_GOLDEN=1 python -m pytest -n0 tests/training/test_golden.py
"""

import dataclasses
import functools
import json
import os
import runpy
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax import traverse_util

from regen_jax.config.build import Run, build
from regen_jax.data.host_features import open_examples
from regen_jax.data.pipeline import first_batch
from regen_jax.training.parallel.reductions import Reduction
from regen_jax.training.step import create, train_step
from tests.training.golden_weights import fill, recorded_leaves

HERE = Path(__file__).parent
GOLDEN = HERE / "golden.json"
LEAVES = HERE / "golden_leaves.json"
"""Paths and sizes of the leaves that were filled when the numbers were recorded."""

BATCH_SIZE = 4
DATA = {
    "digits": "all_digits_dir",
    "harmony": "music_dir",
    "melody": "music_dir",
    "moving_digits": "moving_digits_dir",
    "real_clips": "clips_dir",
    "simplification": "text_dir",
    "spoken_sounds": "sounds_dir",
    "talking_head": "faces_dir",
}
"""Fixtures of the configs that take no data of speech."""


@dataclasses.dataclass(frozen=True)
class Case:
    """Stages of a config, at `size=tiny` and with options of its sections."""

    config: str
    stages: tuple[str, ...]
    options: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)


# Two layers, so that their order tells. The defaults sample as users do, by beam
# search or with top-p; the others are greedy, but for one that would end at once.
TWO = {"num_layers": 2}
BOTH = {"num_layers": 2, "encoder_layers": 2}
GREEDY = {"temperature": 0.0, "guidance": 1.0, "beam_size": 0}
PREFIX = {"conditioning": "prefix", "encoder_layers": 0, "rotary": True}
DRAWN = {"temperature": 1.0, "beam_size": 0}
FEW_STEPS = {"num_steps": 3}
FSQ = {"name": "fsq", "levels": (8, 5)}
SPECTRAL = {"name": "spectral", "resolutions": (256, 512)}
ADVERSARY = {
    "name": "adversarial",
    "discriminator": {"name": "spectrum", "resolutions": (256, 512)},
}
LOSSES = (SPECTRAL, ADVERSARY)
VIT = {"networks": {"name": "vit", "width": 16, "num_layers": 2, "num_heads": 2}}
VQGAN = {
    "name": "adversarial",
    "discriminator": {"name": "patch", "widths": (4, 8)},
    **{"generator": "linear", "feature_weight": 0.0, "adaptive": True},
}
STARTED = {"losses": ({"name": "squared_error"}, {"name": "perceptual"}, VQGAN)}
DIT = {"network": TWO}
EULER = {"solver": {"name": "euler"}, "guidance": 2.0}

CASES = {
    "digits": Case("digits", ("judge", "abstraction", "prior")),
    "harmony": Case("harmony", ("decoder", "prior")),
    "melody": Case("melody", ("decoder", "prior")),
    "pronunciation": Case("pronunciation", ("prior",)),
    "simplification": Case("simplification", ("judge", "decoder", "prior")),
    "recognition": Case("speech_recognition", ("decoder", "prior")),
    "synthesis": Case("speech_synthesis", ("judge", "decoder", "prior")),
    "video": Case(
        "moving_digits:abstraction=latents", ("judge", "abstraction", "prior")
    ),
    "trajectory": Case("moving_digits", ("prior",)),
    "frames": Case("real_clips", ("prior",)),
    "sounds": Case("spoken_sounds", ("judge", "prior")),
    "head": Case("talking_head:abstraction=frame_latents", ("abstraction", "prior")),
    # Learned abstractions, by networks and bottleneck.
    "image_fsq": Case(
        "digits:abstraction=fsq",
        ("abstraction",),
        {"abstraction": {"networks": {"num_blocks": 2}}},
    ),
    "image_rvq": Case(
        "digits:abstraction=rvq", ("abstraction", "prior"), {"prior": GREEDY | TWO}
    ),
    "image_kl": Case("digits:abstraction=kl", ("abstraction",)),
    "image_lfq": Case("digits:abstraction=lfq", ("abstraction",), {"abstraction": VIT}),
    "image_vqgan": Case(
        "digits:abstraction=vqgan", ("abstraction",), {"abstraction": STARTED}
    ),
    "stacks_fsq": Case(
        "harmony:abstraction=fsq",
        ("abstraction",),
        {"abstraction": {"networks": TWO}},
    ),
    "verses_vq": Case(
        "simplification:abstraction=vq",
        ("abstraction",),
        {"abstraction": {"networks": TWO}},
    ),
    "codec": Case(
        "speech_synthesis:abstraction=codec",
        ("abstraction", "prior"),
        {"abstraction": {"networks": TWO}, "prior": GREEDY | BOTH},
    ),
    "codec_adversarial": Case(
        "speech_synthesis:abstraction=codec",
        ("abstraction",),
        {"abstraction": {"networks": {"segment": 8}, "losses": LOSSES}},
    ),
    "codec_fsq": Case(
        "speech_synthesis:abstraction=codec",
        ("abstraction",),
        {
            "abstraction": {
                "bottleneck": FSQ,
                "losses": ({"name": "spectral", "resolutions": (256,)},),
            }
        },
    ),
    # Autoregressive generators, by how the source enters.
    "prefix": Case(
        "pronunciation:direction=p2g", ("prior",), {"prior": GREEDY | TWO | PREFIX}
    ),
    "aligned": Case(
        "harmony:abstraction=identity", ("prior",), {"prior": GREEDY | BOTH}
    ),
    "copy": Case(
        "simplification:abstraction=identity", ("prior",), {"prior": GREEDY | BOTH}
    ),
    "ctc": Case(
        "speech_recognition:data=spoken_bible", ("prior",), {"prior": BOTH | DRAWN}
    ),
    # Generators of arrays, by source.
    "codes_regression": Case(
        "digits:decoder=regression", ("decoder",), {"decoder": DIT}
    ),
    "codes_diffusion": Case(
        "digits:decoder=diffusion", ("decoder",), {"decoder": DIT | FEW_STEPS}
    ),
    "canvas_regression": Case(
        "digits:abstraction=downsample",
        ("decoder", "prior"),
        {"decoder": DIT, "prior": DIT | FEW_STEPS},
    ),
    "canvas_diffusion": Case(
        "digits:abstraction=downsample,decoder=diffusion",
        ("decoder",),
        {"decoder": DIT | FEW_STEPS | EULER},
    ),
    "class_regression": Case(
        "digits:abstraction=identity,prior=regression", ("prior",)
    ),
    "durations_diffusion": Case(
        "speech_synthesis:prior=diffusion",
        ("prior",),
        {"prior": {"generator": DIT | FEW_STEPS}},
    ),
    "vocoder_adversarial": Case(
        "speech_synthesis",
        ("decoder",),
        {"decoder": TWO | {"segment": 8, "losses": LOSSES}},
    ),
    "pipeline": Case("speech_synthesis:abstraction=prosody", ("decoder", "prior")),
}


@pytest.fixture(scope="module")
def built(request):
    """The run of a case and a batch of its data."""

    @functools.cache
    def get(label: str) -> tuple[Run, Any]:
        name, _, choices = CASES[label].config.partition(":")
        path = HERE.parents[1] / "configs" / f"{name}.py"
        get_config = runpy.run_path(str(path))["get_config"]
        config = get_config(",".join(filter(None, ("size=tiny", choices)))).to_dict()
        config["data"]["dir"] = request.getfixturevalue(DATA.get(name, "speech_dir"))
        if "max_seconds" in config["data"]:
            config["data"]["max_seconds"] = 1.024
        _set_options(config, CASES[label].options)
        for options in config["train"].values():
            options["batch_size"] = BATCH_SIZE
        run = build(config)
        examples = open_examples(run.task, run.regeneration, "train")
        return run, first_batch(examples, BATCH_SIZE)

    return get


ENTRIES = [(label, name) for label, case in CASES.items() for name in case.stages]


@pytest.mark.parametrize("label, name", ENTRIES)
def test_stage_on_given_weights_keeps_its_numbers(built, label, name):
    run, batch = built(label)
    stages = {stage.name: stage for stage in run.stages}
    shapes = {
        stage: jax.eval_shape(stages[stage].init, jax.random.key(0), batch)
        for stage in ("source", "abstraction", name)
        if stage in stages
    }
    recorded = dict(recorded_leaves(name, shapes[name]))
    leaves = traverse_util.unflatten_dict(recorded, sep="/")
    weights = {stage: fill(stage, shape) for stage, shape in shapes.items()}
    variables = weights.pop(name)
    frozen = weights if name in ("decoder", "prior") else {}
    numbers = _two_steps(stages[name], run.train[name], variables, frozen, batch)
    numbers |= _sample(run, {**frozen, name: variables}, name, batch)

    entry = f"{label}/{name}"
    if "RECORD_GOLDEN" in os.environ:
        _record(GOLDEN, entry, numbers)
        _record(LEAVES, entry, leaves)
    assert leaves == json.loads(LEAVES.read_text())[entry]
    golden = json.loads(GOLDEN.read_text())[entry]
    assert numbers.pop("ids") == golden.pop("ids")
    # Errors of rounding grow over the layers and steps of a sample.
    values, expected = numbers.pop("values"), golden.pop("values")
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-6)
    # The first step of Adam is the sign of a gradient, whatever its size: where it is an
    # error of rounding, CPUs differ.
    change = abs(golden["next_loss"] - golden["loss"])
    next_loss = pytest.approx(golden.pop("next_loss"), rel=1e-4, abs=0.005 * change)
    assert numbers.pop("next_loss") == next_loss
    assert numbers == pytest.approx(golden, rel=1e-5)


def test_golden_entries_are_those_tested():
    entries = [f"{label}/{name}" for label, name in ENTRIES]
    assert list(json.loads(GOLDEN.read_text())) == entries
    assert list(json.loads(LEAVES.read_text())) == entries


def _two_steps(stage, options, variables, frozen, batch) -> dict[str, float]:
    """Metrics of two steps on the same batch, from given weights."""
    rng = jax.random.key(1)

    @jax.jit
    def start(variables):
        given = dataclasses.replace(stage, init=lambda rng, batch: variables)
        return create(given, options, rng, batch)

    state = start(variables)
    step = jax.jit(functools.partial(train_step, stage, options, Reduction()))
    state, first = step(state, frozen, batch, rng)
    _, second = step(state, frozen, batch, rng)
    return {
        "loss": float(first["loss"]),
        "grad_norm": float(first["grad_norm"]),
        "learning_rate": float(first["learning_rate"]),
        "next_loss": float(second["loss"]),
    }


def _sample(run, variables, name, batch) -> dict[str, list]:
    """Samples of a stage from a batch: digests of ids, statistics of other arrays."""
    parts = run.regeneration

    def made(variables, keys, batch):
        if name == "prior":
            x_prime = parts.represent(variables, batch)
            return parts.prior.sample(variables[name], keys, x_prime)
        if name == "decoder":
            y_prime = parts.encode(variables, batch)
            return parts.decoder.sample(variables[name], keys, y_prime)
        if name == "abstraction":
            y_prime = parts.encode(variables, batch)
            return y_prime, parts.abstraction.decode(variables[name], y_prime)
        return ()

    keys = jax.random.split(jax.random.key(2), BATCH_SIZE)
    arrays = jax.tree.leaves(jax.device_get(jax.jit(made)(variables, keys, batch)))
    ids = [a.astype(np.int32) for a in arrays if np.issubdtype(a.dtype, np.integer)]
    return {
        "ids": [[zlib.crc32(a.tobytes()), *a.reshape(-1)[:8].tolist()] for a in ids],
        "values": [_figures(a) for a in arrays if np.issubdtype(a.dtype, np.floating)],
    }


def _figures(values: np.ndarray) -> list[float]:
    """Mean, deviation, and a mean of magnitudes that weighs each place by itself."""
    values = values.astype(np.float64).reshape(-1)
    weighted = np.abs(values) * np.random.default_rng(0).random(values.size)
    return [float(values.mean()), float(values.std()), float(weighted.mean())]


def _set_options(config: dict[str, Any], options: dict[str, Any]) -> None:
    """Sets options of sections, at any depth; a section with a name replaces another."""
    for key, value in options.items():
        if isinstance(value, dict) and "name" not in value:
            _set_options(config[key], value)
        else:
            config[key] = value


def _record(path: Path, entry: str, content: dict) -> None:
    """Writes an entry of a file, which has a line for each and their order."""
    recorded = json.loads(path.read_text()) if path.exists() else {}
    recorded[entry] = json.loads(
        json.dumps(content), parse_float=lambda text: float(f"{float(text):.8g}")
    )
    order = [f"{label}/{name}" for label, name in ENTRIES]
    lines = [
        f"{json.dumps(entry)}: {json.dumps(recorded[entry], separators=(',', ':'))}"
        for entry in order
        if entry in recorded
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
