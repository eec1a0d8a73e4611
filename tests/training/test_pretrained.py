"""Collections that a stage starts with: from an earlier stage or a file, once."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import regen_jax as rj
from regen_jax.errors import UserError
from regen_jax.training.start import load_stage
from regen_jax.training.step import create


def with_network(toy, pretrained):
    """The toy stage with a network that it does not train."""

    def init(rng, batch):
        return {**toy.stage.init(rng, batch), "pretrained": {"kernel": jnp.zeros(3)}}

    return dataclasses.replace(toy.stage, init=init, pretrained=pretrained)


def test_new_state_has_pretrained_collections_and_old_state_reads_none(toy, tmp_path):
    network = {"pretrained": {"kernel": np.arange(3.0, dtype=np.float32)}}
    stage = with_network(toy, lambda frozen: network)
    trained = toy.train(tmp_path, stage, toy.options(steps=2))
    np.testing.assert_array_equal(trained.variables["pretrained"]["kernel"], [0, 1, 2])

    def gone(frozen):
        pytest.fail("the network was read again")

    longer = toy.options(steps=4)
    resumed = toy.train(tmp_path, with_network(toy, gone), longer)
    loaded = load_stage(with_network(toy, gone), longer, tmp_path, toy.batch())
    for variables in (resumed.variables, loaded.variables):
        np.testing.assert_array_equal(variables["pretrained"]["kernel"], [0, 1, 2])


def test_weights_that_do_not_fit_are_refused_before_anything_is_written(
    tiny_config, tmp_path
):
    config = tiny_config("abstraction=vq").to_dict()
    network = {"name": "convnet", "width": 8}
    losses = [{"name": "squared_error"}, {"name": "perceptual", "network": network}]
    config["abstraction"]["losses"] = losses
    with pytest.raises(UserError, match=r"stage 'judge' has Conv_0/bias of shape"):
        rj.train_run(config, tmp_path / "run")
    losses[1] = {"name": "perceptual", "weights": str(tmp_path / "absent.npz")}
    with pytest.raises(UserError, match=r"absent.npz cannot be read"):
        rj.train_run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_parts_of_params_that_are_not_pretrained_start_as_new(toy, tmp_path):
    kernel = np.ones((8, 16), np.float32)
    stage = dataclasses.replace(
        toy.stage, pretrained=lambda frozen: {"params": {"kernel": kernel}}
    )
    params = create(
        stage, toy.options(), jax.random.key(0), toy.batch(), stage.pretrained({})
    ).variables["params"]
    np.testing.assert_array_equal(params["kernel"], kernel)
    new = create(toy.stage, toy.options(), jax.random.key(0), toy.batch())
    np.testing.assert_array_equal(params["bias"], new.variables["params"]["bias"])
