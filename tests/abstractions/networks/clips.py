"""Autoencoders of clips under test."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.abstractions.autoencoder import Autoencoder
from regen_jax.abstractions.networks.video_networks import VideoNetworks
from regen_jax.config.registry import resolve_class
from regen_jax.spaces import Array, Tokens

SHAPE = (8, 8, 1)
OPTIONS = {"fsq": {"levels": (4, 3)}}


def clips(num_frames: int) -> Array:
    return Array((num_frames, *SHAPE), 0.0, 255.0, step=1.0)


def assert_bottlenecks_have_y_prime_of(
    networks: VideoNetworks, grid: tuple[int, ...], names: Sequence[str]
) -> None:
    base = Autoencoder.__dataclass_fields__["bottleneck"].type
    y = jax.ShapeDtypeStruct((2, 5, *SHAPE), jnp.float32)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 2))
    for name in names:
        bottleneck = resolve_class(base, name, "bottleneck")(**OPTIONS.get(name, {}))
        autoencoder = Autoencoder(clips(5), networks, bottleneck)
        space = autoencoder.output_space
        if isinstance(space, Tokens):
            assert space.grid == grid and space.length == np.prod(grid)
        else:
            assert space.shape[:-1] == grid

        def loss_of_new(key, keys, y, model=autoencoder):
            variables = model.init(key, y)
            decoded = model.decode(variables, model.encode(variables, y))
            return model.loss(variables, keys, y, True).loss, decoded

        loss, decoded = jax.eval_shape(loss_of_new, jax.random.key(0), keys, y)
        assert loss.shape == (2,) and decoded.shape == y.shape
