"""Stages that start with the parameters of another run, those of images as of clips."""

import dataclasses
import types

import jax
import numpy as np
import pytest

from regen_jax.abstractions.autoencoder import Autoencoder
from regen_jax.abstractions.networks.conv3d import Conv3dNetworks
from regen_jax.abstractions.networks.vit3d import Vit3dNetworks
from regen_jax.cli import stored_task, warm_start
from regen_jax.cli.load_run import load_run, read_config
from regen_jax.cli.train_run import train_run
from regen_jax.cli.warm_start import with_warm_starts
from regen_jax.config.build import build
from regen_jax.errors import UserError
from regen_jax.spaces import Array
from regen_jax.stages import abstraction_stage


@pytest.fixture
def config(tiny_config, trained):
    """That of a run whose abstraction starts from the one of `trained`."""
    config = tiny_config("abstraction=vq")
    config.train.abstraction["start_from"] = str(trained)
    return config


@pytest.fixture(scope="module")
def variables(trained):
    """Those of the finished abstraction."""
    info = stored_task.read_info(trained)
    run = build(read_config(trained), reports=False, info=info)
    run = dataclasses.replace(
        run, stages=[s for s in run.stages if s.name == "abstraction"]
    )
    return jax.device_get(load_run(run, trained)["abstraction"].variables)


def first_variables(run):
    """What the abstraction starts with, and no other stage."""
    warm = {stage.name: stage for stage in with_warm_starts(run).stages}
    assert [name for name in warm if warm[name].pretrained] == ["abstraction"]
    return warm["abstraction"].pretrained({})


def test_stage_starts_with_parameters_of_another_run(config, variables, caplog):
    started = first_variables(build(config))
    expected = {name: variables[name] for name in ("params", "codebook")}
    jax.tree.map(np.testing.assert_array_equal, started, expected)
    assert not caplog.text


def test_options_that_shapes_do_not_show_are_logged(config, caplog):
    config.abstraction["code_noise"] = 0.25
    first_variables(build(config))
    assert caplog.text.endswith(
        "fits, but has other options: abstraction.code_noise is 0.0 there and 0.25 here\n"
    )


def test_causal_and_other_networks_of_clips_differ():
    space = Array((8, 16, 16, 1), 0, 255)
    runs = [
        types.SimpleNamespace(
            regeneration=types.SimpleNamespace(abstraction=abstraction)
        )
        for abstraction in (
            Autoencoder(space, Vit3dNetworks(causal=False)),
            Autoencoder(space, Vit3dNetworks()),
            Autoencoder(space, Conv3dNetworks()),
        )
    ]
    differing = warm_start._differing_options
    words = "abstraction.networks.causal is False there and True here"
    assert differing(*runs[:2], "abstraction") == words
    # What only one of two classes has is not compared.
    assert "causal" not in differing(*runs[1:], "abstraction")


def test_autoencoder_of_clips_starts_with_that_of_images(config, variables):
    run = build(config)
    images = run.regeneration.abstraction
    space = images.input_space
    options = {
        field.name: getattr(images.networks, field.name)
        for field in dataclasses.fields(images.networks)
    }
    temporal = (True,) * len(images.networks.widths)
    clips = dataclasses.replace(
        images,
        input_space=Array((4, *space.shape), space.low, space.high, step=space.step),
        networks=Conv3dNetworks(**options, temporal=temporal),
    )
    task = types.SimpleNamespace(x=run.task.x, y=clips.input_space)
    stages = [abstraction_stage("abstraction", clips, "y")]
    started = first_variables(dataclasses.replace(run, task=task, stages=stages))
    expected = clips.start_from(variables)
    assert started["params"]["encoder"]["Conv_0"]["kernel"].shape[2] == 8
    jax.tree.map(np.testing.assert_array_equal, started, expected)


def test_stage_that_does_not_fit_raises_before_anything_is_written(
    config, trained, tmp_path
):
    def message() -> str:
        with pytest.raises(UserError) as error:
            train_run(config, tmp_path / "run")
        assert not (tmp_path / "run").exists()
        return str(error.value)

    where = "config.train.abstraction.start_from"
    config.abstraction.bottleneck["dim"] = 3
    words = message()
    assert words.startswith(
        f"{where}: stage 'abstraction' in {trained} does not fit: codebook/codes is float32"
    )
    assert "; options differ: abstraction.bottleneck.dim is " in words
    assert words.endswith(" there and 3 here")
    config.train.abstraction["start_from"] = str(tmp_path / "other")
    assert message().startswith(f"{where}: {tmp_path}/other holds no run: train one")
    config.train.abstraction["init_from"] = str(trained)
    assert "init_from takes a stage as it is, and start_from trains it" in message()
