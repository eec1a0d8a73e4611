"""Vision transformers: what each latent and each patch stands for."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.networks.vit import VitNetworks
from regen_jax.spaces import Array, Tokens
from tests.errors import value_error

SPACE = Array((8, 12, 3), 0.0, 255.0)
SMALL = {"width": 16, "num_layers": 1, "num_heads": 2}
NETWORKS = VitNetworks(4, **SMALL)
IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, *SPACE.shape)).astype(np.float32)


@functools.cache
def with_variables():
    """Encoder and decoder, with the variables of each."""
    encoder, decoder = NETWORKS.encoder(SPACE, 5), NETWORKS.decoder(SPACE)
    latents = jnp.zeros((2, *NETWORKS.latent_shape(SPACE), 5))
    encoder_variables = jax.jit(encoder.init)(jax.random.key(0), IMAGES)
    decoder_variables = jax.jit(decoder.init)(jax.random.key(1), latents)
    return encoder, decoder, encoder_variables, decoder_variables


def test_latents_are_a_grid_of_patches():
    encoder, decoder, encoder_variables, decoder_variables = with_variables()
    assert NETWORKS.latent_shape(SPACE) == (2, 3)
    latents = jax.jit(encoder.apply)(encoder_variables, IMAGES)
    assert latents.shape == (2, 2, 3, 5)
    images = jax.jit(decoder.apply)(decoder_variables, latents)
    assert images.shape == IMAGES.shape and images.dtype == np.float32


def test_bfloat16_keeps_parameters_and_images_in_float32():
    networks = VitNetworks(4, **SMALL, dtype="bfloat16", remat="full")
    encoder, decoder = networks.encoder(SPACE, 5), networks.decoder(SPACE)
    rng = jax.random.key(0)
    latents, variables = jax.eval_shape(encoder.init_with_output, rng, IMAGES)
    assert latents.dtype == jnp.bfloat16
    images, more_variables = jax.eval_shape(decoder.init_with_output, rng, latents)
    assert images.dtype == np.float32
    leaves = jax.tree.leaves((variables, more_variables))
    assert {leaf.dtype for leaf in leaves} == {np.dtype(np.float32)}


def test_latents_and_patches_depend_on_the_whole_image():
    encoder, decoder, *variables = with_variables()
    images, latents = IMAGES[:1], np.zeros((1, 2, 3, 5), np.float32)
    for module, own, x in zip(
        (encoder, decoder), variables, (images, latents), strict=True
    ):
        apply = jax.jit(module.apply)
        changed = x.copy()
        changed[:, :1, :1] += 1
        difference = np.abs(apply(own, changed) - apply(own, x))
        assert np.all(difference.max(axis=-1) > 0)


def test_positions_tell_equal_patches_apart():
    encoder, _, variables, _ = with_variables()
    latents = jax.jit(encoder.apply)(variables, np.zeros_like(IMAGES[:1]))
    flat = np.asarray(latents).reshape(6, 5)
    distances = np.abs(flat[:, None] - flat).max(axis=-1)
    assert np.all(distances[~np.eye(6, dtype=bool)] > 1e-3)
    positions = variables["params"]["transformer"]["positions"]
    assert positions.shape == (6, 16)


@pytest.mark.parametrize(
    ("space", "patch", "message"),
    [
        (Tokens(4, 8), 4, "networks 'vit' need images, an Array of height, width, "),
        (Array((8, 8, 1)), 4, "networks 'vit' need an Array with bounds, not Array("),
        (
            SPACE,
            3,
            "patch 3 does not divide the axes of Array(8, 12, 3); known to fit ",
        ),
    ],
)
def test_space_that_does_not_fit_raises_value_error(space, patch, message):
    assert value_error(VitNetworks(patch, **SMALL).check, space).startswith(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 3}, "num_heads 3 does not divide width 16"),
        ({"patch": 0}, "patch must be at least 1, not 0"),
        ({"remat": "some"}, "remat must be 'none' or 'full', not 'some'"),
    ],
)
def test_option_out_of_range_raises_value_error(options, message):
    assert value_error(VitNetworks, **SMALL | options) == message
