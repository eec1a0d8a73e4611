"""Generators traced without being run."""

import jax
import jax.numpy as jnp

from regen_jax.interfaces import Generator
from regen_jax.spaces import zeros


def assert_trains_and_samples(model: Generator) -> None:
    """Checks shapes of the loss and the samples of a batch of two."""
    variables = jax.eval_shape(model.init, jax.random.key(0))
    keys = jax.random.split(jax.random.key(0), 2)
    source, target = zeros(model.source_space, 2), zeros(model.target_space, 2)
    output = jax.eval_shape(
        lambda v: model.loss(v, keys, source, target, True), variables
    )
    y = jax.eval_shape(lambda v: model.sample(v, keys, source), variables)
    assert (output.loss.shape, output.loss.dtype) == ((2,), jnp.float32)
    assert (y.shape, y.dtype) == ((2, *model.target_space.shape), jnp.float32)
