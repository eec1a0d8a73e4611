import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.networks.latent_queries import Decoder, Encoder, segment_mixture
from regen_jax.networks.transformer_options import TransformerShape
from regen_jax.spaces import Tokens

SIZE = TransformerShape(width=8, num_layers=1, num_heads=2, mlp_ratio=2.0)
FLAT = Tokens(5, 6, padded=True)
STACK = Tokens(4, 5, 2, padded=True)
WHOLE = Tokens(5, 6)


@functools.cache
def encoder(space: Tokens):
    """A function of y to latents [B, 3, 4], and its parameters."""
    network = Encoder(space, 3, 4, SIZE)
    y = jnp.zeros((1, *space.shape), jnp.int32)
    return jax.jit(network.apply), random_variables(network, y)


@functools.cache
def decoder(space: Tokens):
    network = Decoder(space, SIZE)
    return jax.jit(network.apply), random_variables(network, jnp.zeros((1, 3, 4)))


def random_variables(network, x):
    """Variables from NumPy: JAX's take seconds to compile."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(network.init, jax.random.key(0), x)
    assert {x.dtype for x in jax.tree.leaves(shapes)} == {np.dtype(np.float32)}
    return jax.tree.map(
        lambda x: jnp.asarray(rng.normal(0, 0.5, x.shape), jnp.float32), shapes
    )


def tokens(space: Tokens, lengths: list[int], seed: int = 0) -> np.ndarray:
    """A batch without any 0 before its ends, and anything at all behind them."""
    rng = np.random.default_rng(seed)
    y = rng.integers(1, space.vocab, (len(lengths), *space.shape)).astype(np.int32)
    for row, length in zip(y, lengths, strict=True):
        row[length : length + 1].reshape(-1)[:1] = 0
    return y


@pytest.mark.parametrize("space", [FLAT, STACK], ids=str)
def test_tokens_after_the_end_change_nothing_and_the_end_does(space):
    apply, variables = encoder(space)
    lengths = [2, 0, 3, space.length]
    y, other = (tokens(space, lengths, seed) for seed in (0, 1))
    behind = y.copy()
    for i, length in enumerate(lengths):
        behind[i, length + 1 :] = other[i, length + 1 :]
        # Levels other than the first mean nothing at the end.
        behind[i, length : length + 1].reshape(-1)[1:] = 1
    latents = apply(variables, y)
    assert latents.shape == (4, 3, 4)
    np.testing.assert_array_equal(apply(variables, behind), latents)

    # The same tokens with a later end.
    later = y.copy()
    later[0, 2], later[0, 3] = 1, 0
    assert np.abs(apply(variables, later)[0] - latents[0]).max() > 1e-3


def test_longer_padding_changes_nothing():
    apply, variables = encoder(FLAT)
    roomy, _ = encoder(Tokens(9, 6, padded=True))
    params = jax.tree.map(np.asarray, variables["params"])
    params["positions"] = np.pad(params["positions"], ((0, 4), (0, 0)))
    mixture = params["latents"]["mixture"]
    params["latents"]["mixture"] = np.pad(mixture, ((0, 0), (0, 4)), constant_values=9)
    y = tokens(FLAT, [2, 0, 4])
    np.testing.assert_allclose(
        roomy({"params": params}, np.pad(y, ((0, 0), (0, 4)))),
        apply(variables, y),
        atol=1e-5,
    )


@pytest.mark.parametrize("space", [WHOLE, STACK], ids=str)
def test_every_latent_depends_on_every_token_and_its_position(space):
    apply, variables = encoder(space)
    y = tokens(space, [space.length])
    latents = apply(variables, y)[0]
    for place in np.ndindex(space.shape):
        changed = y.copy()
        changed[0][place] = 1 + changed[0][place] % (space.vocab - 1)
        moved = np.abs(apply(variables, changed)[0] - latents).max(axis=-1)
        assert moved.min() > 1e-3, place
    swapped = apply(variables, y[:, ::-1])[0]
    assert np.abs(swapped - latents).max(axis=-1).min() > 1e-3


def test_0_without_padding_is_a_token():
    apply, variables = encoder(WHOLE)
    y = tokens(WHOLE, [5])
    y[0, 1] = 0
    changed = y.copy()
    changed[0, 4] = 1 + changed[0, 4] % 5
    assert np.abs(apply(variables, changed) - apply(variables, y)).max() > 1e-3


@pytest.mark.parametrize("space", [FLAT, STACK], ids=str)
def test_every_logit_depends_on_every_latent_and_its_position(space):
    apply, variables = decoder(space)
    values = np.random.default_rng(4).normal(size=(2, 3, 4)).astype(np.float32)
    logits = apply(variables, values)
    assert logits.shape == (2, *space.shape, space.vocab)
    for latent in range(3):
        changed = values.copy()
        changed[0, latent] += 1
        found = apply(variables, changed)
        moved = np.abs(found[0] - logits[0]).max(axis=-1)
        assert moved.min() > 1e-3, latent
        np.testing.assert_array_equal(found[1], logits[1])
    swapped = apply(variables, values[:, ::-1])
    assert np.abs(swapped - logits).max(axis=-1).min() > 1e-3


@pytest.mark.parametrize("number, size", [(3, 7), (7, 3), (4, 8), (5, 5), (1, 4)])
def test_queries_start_with_segments_of_the_memory(number, size):
    fine = number * size
    rows = np.repeat(np.eye(number), size, axis=1)
    columns = np.repeat(np.eye(size), number, axis=1)
    overlap = rows @ columns.T
    assert overlap.sum() == fine
    expected = overlap / np.sqrt((overlap**2).sum(axis=1, keepdims=True))
    mixture = segment_mixture(jax.random.key(0), (number, size))
    np.testing.assert_allclose(mixture, expected, rtol=1e-6)
