"""Networks of clips: their spaces, an image as a clip of length one."""

import jax
import numpy as np
import pytest

from regen_jax.abstractions.networks.conv3d import Conv3dNetworks
from regen_jax.spaces import Array
from tests.abstractions.networks.clips import (
    assert_bottlenecks_have_y_prime_of,
    clips,
)
from tests.abstractions.networks.inflation import assert_still_clip_equals_image
from tests.errors import value_error
from tests.networks.parameters import random_variables

NETWORKS = Conv3dNetworks((4, 6), temporal=(True, False))
Y = np.random.default_rng(0).uniform(0, 255, (2, *clips(5).shape)).astype(np.float32)


@pytest.mark.parametrize(
    ("num_frames", "temporal", "expected"),
    [
        (1, (True, True), 1),
        (16, (True, True), 4),
        (17, (True, True), 5),
        (5, (False, True), 3),
    ],
)
def test_latents_are_a_grid_of_space_and_time(num_frames, temporal, expected):
    networks = Conv3dNetworks(temporal=temporal)
    assert networks.latent_shape(clips(num_frames)) == (expected, 2, 2)


def test_every_bottleneck_fits():
    assert_bottlenecks_have_y_prime_of(
        NETWORKS, (3, 2, 2), ("fsq", "identity", "kl", "lfq", "rvq", "vq")
    )


def test_image_equals_first_frame_of_clip():
    space, image_space = clips(5), clips(1)
    x = NETWORKS.preprocess(space, Y)
    encoder, decoder = NETWORKS.encoder(space, 3), NETWORKS.decoder(space)
    own = random_variables(encoder, x)
    latents = jax.jit(encoder.apply)(own, x)
    image = NETWORKS.preprocess(image_space, Y[:, :1])
    latent = jax.jit(NETWORKS.encoder(image_space, 3).apply)(own, image)
    np.testing.assert_allclose(latent, latents[:, :1], atol=1e-6)

    own = random_variables(decoder, latents)
    frames = jax.jit(decoder.apply)(own, latents)
    assert frames.shape == Y.shape
    frame = jax.jit(NETWORKS.decoder(image_space).apply)(own, latent)
    np.testing.assert_allclose(frame, frames[:, :1], atol=1e-6)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            Array((8, 8, 1), 0, 1),
            "networks 'conv3d' need clips, an Array of frames, height, width, channels, "
            "not Array(8, 8, 1)",
        ),
        (
            Array((5, 8, 6, 1), 0, 1),
            "widths has 2 levels, which reduce the resolution 4 times, and 4 does not "
            "divide (8, 6)",
        ),
    ],
)
def test_space_that_does_not_fit_raises_value_error(space, message):
    assert value_error(NETWORKS.check, space) == message


def test_temporal_of_another_length_raises_value_error():
    message = "temporal must be 3 of True and False, one for each of widths, not "
    with pytest.raises(ValueError, match=message):
        Conv3dNetworks((4, 6, 8))


@pytest.mark.parametrize(
    ("num_blocks", "norm", "downsample"),
    [(1, "layer", "fold"), (0, "group", "stride"), (2, "group", "fold")],
)
def test_inflated_model_gives_the_image_models_output_on_a_still_clip(
    num_blocks, norm, downsample
):
    networks = Conv3dNetworks(
        (4, 6), num_blocks, norm=norm, downsample=downsample, temporal=(True, False)
    )
    assert_still_clip_equals_image(networks, 3)
