"""Factorized transformers of clips: causality, positions and bottlenecks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.networks.vit3d import Vit3dNetworks
from regen_jax.spaces import Array
from tests.abstractions.networks.clips import (
    assert_bottlenecks_have_y_prime_of,
    clips,
)
from tests.abstractions.networks.inflation import assert_still_clip_equals_image
from tests.errors import value_error
from tests.networks.parameters import random_variables

SMALL = {"width": 16, "num_layers": 1, "num_heads": 2}
NETWORKS = Vit3dNetworks(4, patch_time=2, **SMALL)
SPACE = clips(5)
X = np.random.default_rng(0).uniform(-1, 1, (2, 6, *SPACE.shape[1:])).astype(np.float32)
LATENTS = np.random.default_rng(1).normal(size=(2, 3, 2, 2, 3)).astype(np.float32)


def test_bottlenecks_fit():
    assert_bottlenecks_have_y_prime_of(NETWORKS, (3, 2, 2), ("identity", "rvq"))


@functools.cache
def influence(causal: bool, decodes: bool) -> np.ndarray:
    """Which steps of inputs reach which steps of outputs: bool[outputs, inputs].

    A patch reaches an output if any of its frames does.
    """
    networks = Vit3dNetworks(4, patch_time=2, causal=causal, **SMALL)
    module = networks.decoder(SPACE) if decodes else networks.encoder(SPACE, 3)
    x = LATENTS if decodes else X
    own = random_variables(module, x)

    @jax.jit
    def gradient(weights):
        def total(x):
            y = jnp.square(module.apply(own, x)).mean(axis=(0, 2, 3, 4))
            return (y * weights).sum()

        return jnp.abs(jax.grad(total)(x)).max(axis=(0, 2, 3, 4)) > 0

    # The first frame of five is the only one of its latent.
    steps = [[0], [1, 2], [3, 4]] if decodes else [[0], [1], [2]]
    rows = []
    for step in steps:
        weights = np.zeros(5 if decodes else 3, np.float32)
        weights[step] = 1
        reached = np.asarray(gradient(weights))
        rows.append(reached if decodes else reached.reshape(3, 2).any(axis=1))
    return np.stack(rows)


@pytest.mark.parametrize("decodes", [False, True], ids=["encoder", "decoder"])
def test_causal_network_depends_on_no_later_frame(decodes):
    np.testing.assert_array_equal(influence(True, decodes), np.tri(3, dtype=bool))
    assert np.all(influence(False, decodes))


def test_image_equals_first_frame_of_clip():
    encoder, image_encoder = (NETWORKS.encoder(space, 3) for space in (SPACE, clips(1)))
    own = random_variables(encoder, X)
    x = NETWORKS.preprocess(SPACE, SPACE.denormalize(X[:, 1:]))
    latents = jax.jit(encoder.apply)(own, x)
    # Positions are those of the first latents in time.
    transformer = own["params"]["transformer"]
    first = {**transformer, "positions": transformer["positions"][:4]}
    image_params = {**own["params"], "transformer": first}
    latent = jax.jit(image_encoder.apply)({"params": image_params}, x[:, :2])
    np.testing.assert_allclose(latent, latents[:, :1], atol=1e-5)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (Array((8, 8, 1), 0, 1), "networks 'vit3d' need clips, an Array of frames, "),
        (
            Array((5, 8, 6, 1), 0, 1),
            "patch 4 does not divide the axes of Array(8, 6, 1)",
        ),
    ],
)
def test_space_that_does_not_fit_raises_value_error(space, message):
    assert value_error(NETWORKS.check, space).startswith(message)


def test_inflated_model_gives_the_image_models_output_on_a_still_clip():
    assert_still_clip_equals_image(NETWORKS, 3)
