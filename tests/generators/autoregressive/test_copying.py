"""Copying of tokens that training never showed."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.spaces import Tokens
from tests.generators.autoregressive.compiled import random_variables, sample

SPACE = Tokens(4, 40, padded=True)
POINTER = Autoregressive(
    SPACE,
    SPACE,
    width=32,
    num_layers=1,
    num_heads=2,
    conditioning="cross",
    head="pointer",
    source_dropout=0.0,
    beam_size=1,
)


@functools.partial(jax.jit, static_argnums=0)
def train(model: Autoregressive, variables, batches: jax.Array):
    """Trains a model to repeat its sources."""
    optimizer = optax.adam(1e-2)

    def step(carry, batch):
        variables, state = carry
        keys = jax.random.split(jax.random.key(0), len(batch))

        def mean(variables):
            return model.loss(variables, keys, batch, batch, True).loss.mean()

        updates, state = optimizer.update(jax.grad(mean)(variables), state)
        return (optax.apply_updates(variables, updates), state), None

    start = variables, optimizer.init(variables)
    return jax.lax.scan(step, start, batches)[0][0]


def test_pointer_copies_tokens_never_seen_in_training():
    rng = np.random.default_rng(0)
    batches = jnp.asarray(rng.integers(1, 20, (150, 32, 4)))
    unseen = jnp.asarray(rng.integers(20, 40, (6, 4)))
    keys = jax.random.split(jax.random.key(1), 6)

    def accuracy(model: Autoregressive) -> float:
        variables = train(model, random_variables(model, scale=0.1), batches)
        return float(np.mean(sample(model, variables, keys, unseen) == unseen))

    assert accuracy(POINTER) > 0.9
    assert accuracy(dataclasses.replace(POINTER, head="dense")) < 0.1
