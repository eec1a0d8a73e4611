"""Decoders that get used to generated Y′: by noise, and by a stage on Y′ of the prior."""

import dataclasses
import functools
import json
import shutil

import jax
import numpy as np
import pytest

from regen_jax.abstractions.autoencoder import Autoencoder
from regen_jax.abstractions.bottlenecks.vq import VectorQuantizer
from regen_jax.abstractions.identity import Identity
from regen_jax.abstractions.image.downsample import Downsample
from regen_jax.abstractions.networks.conv2d import Conv2dNetworks
from regen_jax.cli.evaluate_run import evaluate_run
from regen_jax.cli.sample_run import sample_run
from regen_jax.cli.train_run import train_run
from regen_jax.errors import UserError
from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.generators.regression import Regression
from regen_jax.networks.dit import DiTOptions
from regen_jax.networks.perturbation import add_noise
from regen_jax.random import split_keys
from regen_jax.regeneration import Regeneration
from regen_jax.stages import DecoderTraining, make_stages
from regen_jax.training.parallel.options import MeshAxes, ParallelOptions
from regen_jax.training.parallel.reductions import Reduction
from regen_jax.training.parallel.strategies import make_strategy
from regen_jax.training.stage import FinetuneOptions
from regen_jax.training.step import create, train_step
from tests.training.descent import Constant, Descent
from tests.training.parallel.test_strategies import BATCH, Noise, assert_near, batch

KEYS = jax.random.split(jax.random.key(5), BATCH)
VQ = Autoencoder(
    Noise.y, Conv2dNetworks((8,), num_blocks=0), VectorQuantizer(num_codes=16, dim=8)
)
CODES = Regeneration(
    Identity(Noise.x),
    VQ,
    Autoregressive(
        Noise.x, VQ.output_space, width=16, num_layers=1, num_heads=2, guidance=1.0
    ),
)
SMALL = DiTOptions(width=16, num_layers=1, num_heads=2, patch=2)
GRID = Downsample(Noise.y, factor=2)
IMAGES = Regeneration(
    Identity(Noise.x),
    GRID,
    Regression(Noise.x, GRID.output_space, SMALL),
    Regression(GRID.output_space, Noise.y, SMALL),
)
OPTIONS = FinetuneOptions(
    steps=3,
    batch_size=BATCH,
    optimizer=Descent(),
    schedule=Constant(0.1),
    generated=0.5,
)


def stages_of(parts, **training):
    stages = make_stages(Noise(), parts, None, DecoderTraining(**training))
    return {stage.name: stage for stage in stages}


@functools.cache
def frozen(parts):
    """Variables of the stages before `finetune`, as `init` makes them."""
    stages = stages_of(parts).values()
    rngs = jax.random.split(jax.random.key(1), len(stages))
    return {
        stage.name: jax.device_get(jax.jit(stage.init)(rng, batch(0)))
        for stage, rng in zip(stages, rngs, strict=True)
    }


def start(stage, parts):
    pretrained = stage.pretrained(frozen(parts))
    init = functools.partial(create, stage, OPTIONS, jax.random.key(2), batch(0))
    return jax.jit(lambda: init(pretrained=pretrained))()


@pytest.mark.parametrize(
    "parts, generated", [(CODES, 0.5), (IMAGES, 1.0)], ids=["codes", "images"]
)
def test_loss_is_that_of_the_decoder_on_y_prime_of_the_prior(parts, generated):
    options = dataclasses.replace(OPTIONS, generated=generated)
    stage = stages_of(parts, finetune=options)["finetune"]
    decoder = parts.trainable_decoder

    @jax.jit
    def losses(frozen):
        variables = stage.pretrained(frozen)
        output = stage.loss(variables, frozen, KEYS, batch(1), True)
        prior_keys, decoder_keys = split_keys(KEYS)
        prior, x = frozen["prior"], batch(1)["x"]
        if generated == 1:
            y_prime = parts.prior.sample(prior, prior_keys, x)
        else:
            true = parts.encode(frozen, batch(1))
            y_prime = parts.prior.resample(prior, prior_keys, x, true, generated)
        y = np.float32(batch(1)["y"])
        expected = decoder.loss(variables, decoder_keys, y_prime, y, True)
        return output.loss, expected.loss

    found, expected = losses(frozen(parts))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_decoder_of_an_autoencoder_moves_alone_and_decodes_samples():
    stage = stages_of(CODES, finetune=OPTIONS)["finetune"]
    before, variables = frozen(CODES), start(stage, CODES)
    assert set(variables.variables["params"]) == {"decoder"}
    step = jax.jit(functools.partial(train_step, stage, OPTIONS, Reduction()))
    state, _ = step(variables, before, batch(1), jax.random.key(3))
    after = {**before, "finetune": state.variables}
    same = jax.tree.map(np.array_equal, variables.variables, state.variables)
    assert all(jax.tree.leaves(same["codebook"]))
    assert not any(jax.tree.leaves(same["params"]["decoder"]))

    generate = jax.jit(CODES.generate)
    old_codes, old = generate(before, KEYS, batch(2))
    new_codes, new = generate(after, KEYS, batch(2))
    np.testing.assert_array_equal(old_codes, new_codes)
    assert not np.array_equal(old, new)
    tuned = {**before["abstraction"], "params": dict(before["abstraction"]["params"])}
    tuned["params"]["decoder"] = state.variables["params"]["decoder"]
    np.testing.assert_allclose(VQ.decode(tuned, new_codes), new, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(
    "parts, parallel",
    [
        (CODES, ParallelOptions(axes=MeshAxes(fsdp=2), min_size=16)),
        (IMAGES, ParallelOptions("pmap")),
    ],
    ids=["codes-data4-fsdp2", "images-pmap8"],
)
def test_steps_on_eight_devices_equal_those_on_one(parts, parallel):
    options = dataclasses.replace(OPTIONS, source_noise=0.2)
    stage = stages_of(parts, finetune=options)["finetune"]
    first = jax.device_get(start(stage, parts))
    step = functools.partial(train_step, stage, options)
    rng = jax.random.key(3)
    expected = jax.jit(functools.partial(step, Reduction()))(
        first, frozen(parts), batch(1), rng
    )
    strategy = make_strategy(parallel)
    compiled = strategy.compile(step, first)
    layouts = map(strategy.to_step_layout, (first, frozen(parts)))
    state, metrics = compiled(*layouts, strategy.shard_batch(batch(1)), rng)
    state = strategy.to_checkpoint_layout(state)
    assert_near(jax.device_get((state, metrics)), jax.device_get(expected))


def test_decoder_stage_adds_noise_in_training_alone():
    plain, noisy = (stages_of(IMAGES, noise=n)["decoder"].loss for n in (0.0, 0.3))
    variables = frozen(IMAGES)

    @jax.jit
    def losses(variables):
        own = variables["decoder"]
        y_prime = IMAGES.encode(variables, batch(1))
        y_prime = add_noise(GRID.output_space, KEYS, y_prime, 0.3)
        y = np.float32(batch(1)["y"])
        arguments = own, variables, KEYS, batch(1)
        return (
            noisy(*arguments, True).loss,
            IMAGES.decoder.loss(own, KEYS, y_prime, y, True).loss,
            noisy(*arguments, False).loss,
            plain(*arguments, False).loss,
            plain(*arguments, True).loss,
        )

    trained, expected, evaluated, *others = losses(variables)
    np.testing.assert_array_equal(trained, expected)
    for other in others:
        np.testing.assert_array_equal(evaluated, other)
    assert not np.allclose(trained, evaluated, rtol=1e-3)


CHOICES = "abstraction=downsample,prior=regression,decoder=regression,finetune=yes"


@pytest.mark.parametrize(
    "choices, options, words",
    [
        (
            "abstraction=pixel_tokens,finetune=yes",
            {},
            r"config.train.finetune .* the inverse of PixelTokens, which has no param",
        ),
        (
            "abstraction=downsample,prior=regression,decoder=nearest,finetune=yes",
            {},
            "config.train.finetune .* the decoder is Nearest, which has no parameters",
        ),
        (
            "abstraction=downsample,prior=regression,decoder=nearest",
            {"train.decoder.source_noise": 0.1},
            "config.train.decoder.source_noise is 0.1, but only a decoder that trains",
        ),
        (
            CHOICES,
            {"train.prior.source_noise": 0.1},
            r"config.train.prior.source_noise is 0.1, but only a decoder",
        ),
        (
            "decoder=inverse",
            {"train.decoder.source_noise": 0.1},
            r"config.train.decoder.source_noise is 0.1, .* code_noise",
        ),
        (
            "decoder=regression",
            {"train.decoder.source_noise": 2.0},
            r"config.train.decoder.source_noise must be at most 1, not 2.0: of Tokens",
        ),
        (
            "abstraction=vq",
            {"abstraction.code_noise": 2.0},
            r"config.abstraction: code_noise must be at most 1, not 2.0",
        ),
        (
            CHOICES,
            {"train.finetune.generated": 0.0},
            r"config.train.finetune.generated must be in \(0, 1\]",
        ),
        (
            CHOICES,
            {"train.decoder.generated": 0.5},
            "config.train.decoder.generated is not an option of StageOptions",
        ),
    ],
)
def test_what_cannot_be_trained_raises_user_error_and_writes_nothing(
    tiny_config, choices, options, words, tmp_path
):
    config = tiny_config(choices)
    config.update_from_flattened_dict(options)
    with pytest.raises(UserError, match=words) as error:
        train_run(config, tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def config(tiny_config, trained):
    """Of a run that takes all stages but `finetune` from the shared tiny one."""
    config = tiny_config("finetune=yes")
    for name in ("judge", "abstraction", "prior"):
        config.train[name].init_from = str(trained)
    return config


@pytest.fixture(scope="module")
def finished(tiny_config, trained, train_config, digits_dir, tmp_path_factory):
    """The workdir of a run of all stages, which finds all but `finetune` trained."""
    workdir = shutil.copytree(trained, tmp_path_factory.mktemp("finetune") / "run")
    config = tiny_config("finetune=yes")
    stored = json.loads((workdir / "config.json").read_text())
    stored["train"]["finetune"] = config.train.finetune.to_dict()
    (workdir / "config.json").write_text(json.dumps(stored))
    # On one device, as a command: each of the eight of this process would sample.
    return train_config("digits.py:size=tiny,finetune=yes", digits_dir, workdir)


def test_run_evaluates_and_samples_with_the_finetuned_decoder(finished, trained):
    metrics, failed = evaluate_run(finished)
    assert failed == []
    assert metrics["finetune/mse"] != metrics["abstraction/mse"]
    for name in ("accuracy", "frechet"):
        gap = metrics[f"samples/{name}"] - metrics[f"true_y_prime/{name}"]
        assert metrics[f"gap/{name}"] == pytest.approx(gap)
    parameters = {
        name: metrics[f"train/{name}_parameters"]
        for name in ("abstraction", "prior", "finetune")
    }
    assert 0 < parameters.pop("finetune") < parameters["abstraction"]
    assert metrics["train/parameters"] == sum(parameters.values())
    assert metrics["train/finetune_flops"] > 0
    # As many as `evaluate_run` draws: the same program.
    number = int(metrics["samples/number"])
    tuned, untuned = (sample_run(workdir, number) for workdir in (finished, trained))
    np.testing.assert_array_equal(tuned.y_prime, untuned.y_prime)
    assert (tuned.y != untuned.y).any()


def test_finetune_is_taken_with_the_stages_it_learned_from(
    config, finished, trained, tmp_path
):
    config = config.copy_and_resolve_references()
    # Of a run without the stage, nothing can be taken.
    config.train.finetune.init_from = str(trained)
    with pytest.raises(UserError, match="has no checkpoint of stage 'finetune'"):
        train_run(config, tmp_path / "run")
    config.train.finetune.init_from = str(finished)
    config.train.prior.init_from = ""
    with pytest.raises(UserError, match="takes a finetune that learned from the prior"):
        train_run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    for name in ("judge", "abstraction", "prior"):
        config.train[name].init_from = str(finished)
    stages = train_run(config, tmp_path / "run")
    assert {stage.steps for stage in stages.values()} == {20}
