"""The factorized diffusion transformer: what reaches what, tokens and dropout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.networks.conditioning.interface import Condition
from regen_jax.networks.dit3d import SpaceTimeDiT, SpaceTimeDiTOptions
from regen_jax.spaces import Array
from tests.networks.parameters import random_variables

NET = SpaceTimeDiT((4, 4, 4, 1), (2, 2, 2), width=12, num_layers=1, num_heads=2)
X = np.random.default_rng(1).normal(size=(2, 4, 4, 4, 3)).astype(np.float32)
TOKENS = np.random.default_rng(2).normal(size=(2, 3, 12)).astype(np.float32)
MASK = jnp.array([[True, True, False], [True, False, False]])


def condition(tokens=TOKENS) -> Condition:
    return Condition(jnp.ones((2, 12)), tokens, MASK)


def test_every_patch_and_valid_token_reaches_every_frame():
    variables = random_variables(NET, X, condition())

    @jax.jit
    def gradients(frame):
        def total(x, tokens):
            y = NET.apply(variables, x, condition(tokens))
            return jnp.square(jnp.take(y, frame, axis=1)).sum()

        return jax.grad(total, (0, 1))(X, TOKENS)

    for frame in (0, 3):
        of_x, of_tokens = gradients(frame)
        assert (np.abs(of_x) > 1e-8).mean() > 0.9
        np.testing.assert_array_equal(np.abs(of_tokens).max(axis=-1) > 0, MASK)


def test_network_without_tokens_is_zero_at_the_start():
    free = Condition(jnp.ones((2, 12)))
    y, variables = jax.jit(NET.init_with_output)(jax.random.key(0), X, free)
    np.testing.assert_array_equal(y, np.zeros((2, 4, 4, 4, 1)))
    assert {"space", "time"} < set(variables["params"]["layers"])


def test_padded_frames_reach_no_other():
    length = jnp.array([2, 4])
    frames = jnp.arange(4) < length[:, None]
    padded = Condition(jnp.ones((2, 12)), TOKENS, MASK, frame_mask=frames)
    variables = random_variables(NET, X, padded)
    apply = jax.jit(NET.apply)
    y = apply(variables, X, padded)
    other = np.where(frames[:, :, None, None, None], X, 7.0)
    valid = np.asarray(frames)
    changed = np.asarray(apply(variables, other, padded))
    np.testing.assert_allclose(changed[valid], np.asarray(y)[valid], atol=1e-5)
    # A clip without padding does not depend on there being a mask.
    whole = apply(variables, X, padded._replace(frame_mask=jnp.ones((2, 4), bool)))
    np.testing.assert_allclose(whole, apply(variables, X, condition()), atol=1e-5)


def test_dropout_depends_on_the_example_key_alone():
    net = NET.clone(dropout=0.5)
    variables = random_variables(net, X, condition())
    keys = jax.random.split(jax.random.key(1), 2)
    same = X[:1].repeat(2, 0), Condition(jnp.ones((2, 12)), TOKENS[:1].repeat(2, 0))
    apply = jax.jit(net.apply)
    y = apply(variables, *same, keys)
    assert not np.allclose(y[0], y[1])
    np.testing.assert_allclose(y, apply(variables, *same, keys[::-1])[::-1], atol=1e-5)


def test_target_that_is_no_clip_raises_value_error():
    message = r"network 'dit3d' needs a target of frames, .* not Array\(4, 4, 1\): use"
    with pytest.raises(ValueError, match=message):
        SpaceTimeDiTOptions().module(Array((4, 4, 1)))
    options = SpaceTimeDiTOptions(patch=2, patch_time=1, width=12, num_heads=2)
    assert options.module(Array((3, 4, 4, 1))).patch == (1, 2, 2)
