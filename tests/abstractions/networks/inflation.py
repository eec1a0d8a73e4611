"""An autoencoder of images beside one of clips with its inflated parameters."""

import dataclasses

import jax
import numpy as np

from regen_jax.abstractions.autoencoder import Autoencoder
from regen_jax.abstractions.bottlenecks.identity import Identity
from regen_jax.abstractions.networks.video_networks import VideoNetworks
from tests.abstractions.networks.clips import clips


def assert_still_clip_equals_image(networks: VideoNetworks, num_frames: int) -> None:
    model = Autoencoder(clips(num_frames), networks, Identity(3))
    space, image_networks = networks.as_image_networks(model.input_space)
    image_model = dataclasses.replace(model, input_space=space, networks=image_networks)
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (2, *space.shape)).astype(np.float32)
    shapes = jax.eval_shape(image_model.init, jax.random.key(0), images)
    variables = jax.tree.map(
        lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32), shapes
    )
    variables["moments"] = {"mean": np.full(3, 0.1), "std": np.full(3, 2.0)}
    encode = jax.jit(Autoencoder.encode, static_argnums=0)
    decode = jax.jit(Autoencoder.decode, static_argnums=0)
    latents = encode(image_model, variables, images)
    expected = decode(image_model, variables, latents)
    # Neither constant nor clipped.
    assert np.std(latents) > 0.01 and np.std(expected) > 1

    inflated = model.start_from(variables)
    still = np.repeat(images[:, None], num_frames, axis=1)
    y_prime = encode(model, inflated, still)
    in_time = np.broadcast_to(latents[:, None], y_prime.shape)
    np.testing.assert_allclose(y_prime, in_time, atol=1e-5)
    clip = decode(model, inflated, y_prime)
    assert clip.shape == still.shape
    # Pixels are in [0, 255].
    expected = np.broadcast_to(expected[:, None], clip.shape)
    np.testing.assert_allclose(clip, expected, atol=1e-3)

    # Parameters of the same networks stay as they are.
    again = model.start_from(inflated)
    jax.tree.map(np.testing.assert_array_equal, again, inflated)
    new = jax.eval_shape(model.init, jax.random.key(0), still)
    own = jax.tree.map(lambda leaf: leaf.shape, new)
    assert jax.tree.map(lambda leaf: leaf.shape, inflated) == own
