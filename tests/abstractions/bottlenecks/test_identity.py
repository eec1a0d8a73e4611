"""Continuous latents: moments against NumPy, and a run that standardizes them."""

import jax
import numpy as np
import pytest

import regen_jax as rj
from regen_jax.abstractions.bottlenecks.identity import Identity
from regen_jax.data.pipeline import evaluation_batches
from regen_jax.spaces import Array, Padded, to_dtype

BOTTLENECK = Identity(3)
START = BOTTLENECK.init(None, None)


def random_latents(*shape: int) -> np.ndarray:
    """Latents of channels with a large mean, a large deviation, and neither."""
    latents = np.random.default_rng(0).normal(size=(*shape, 3))
    return (latents * [1, 50, 0.01] + [1000, 0, -2]).astype(np.float32)


def test_moments_of_uneven_batches_equal_those_of_all_latents():
    latents = random_latents(20, 4, 2)
    batches = [(latents[i : i + 6], None) for i in range(0, 20, 6)]
    state = BOTTLENECK.finalize(START, iter(batches))
    exact = latents.reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(state["mean"], exact.mean(axis=0), rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(state["std"], exact.std(axis=0), rtol=1e-4)
    assert {x.dtype for x in state.values()} == {np.dtype(np.float32)}


def test_moments_ignore_padding():
    latents = random_latents(4, 5)
    mask = np.arange(5) < np.array([5, 2, 0, 1])[:, None]
    dirty = np.where(mask[..., None], latents, np.nan)
    state = BOTTLENECK.finalize(START, [(dirty[:2], mask[:2]), (dirty[2:], mask[2:])])
    np.testing.assert_allclose(state["mean"], latents[mask].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(state["std"], latents[mask].std(axis=0), rtol=1e-3)


def test_moments_of_constant_channels_are_finite():
    state = BOTTLENECK.finalize(START, [(np.ones((2, 4, 3), np.float32), None)])
    codes = BOTTLENECK.encode(state, np.ones((1, 4, 3)))
    np.testing.assert_array_equal(codes, np.zeros((1, 4, 3)))
    assert BOTTLENECK.finalize(START, []) is START


def test_decode_and_unpack_invert_encode_and_pack():
    space = BOTTLENECK.output_space((5,), padded=True)
    assert space == Array((5, 3), padded=True)
    latents = random_latents(2, 5)
    mask = np.arange(5) < np.array([5, 2])[:, None]
    state = {"mean": np.array([1000, 0, -2.0]), "std": np.array([1, 50, 0.01])}
    y_prime = BOTTLENECK.pack(space, BOTTLENECK.encode(state, latents), mask)
    assert isinstance(y_prime, Padded) and not np.any(y_prime.values[1, 2:])
    codes, same_mask = BOTTLENECK.unpack(space, (5,), y_prime)
    np.testing.assert_array_equal(same_mask, mask)
    decoded = BOTTLENECK.decode(state, codes)
    np.testing.assert_allclose(decoded[mask], latents[mask], rtol=1e-4)


def test_output_has_values_of_latents_and_no_loss():
    latents = random_latents(2, 5)
    output = BOTTLENECK.apply(START, None, latents, None, False)
    np.testing.assert_array_equal(output.values, latents)
    assert not np.any(output.loss) and output.sums == output.per_example == {}


def test_dim_of_0_raises_value_error():
    with pytest.raises(ValueError, match="dim must be at least 1, not 0"):
        Identity(0)


def test_trained_latents_have_zero_mean_and_unit_variance(tiny_config, tmp_path):
    config = tiny_config("abstraction=latents")
    config.parallel.axes.data = 1
    trained = rj.train_run(config, tmp_path / "run", stop_after="abstraction")
    variables = trained["abstraction"].variables
    run = rj.build(config)
    autoencoder = run.regeneration.abstraction
    assert autoencoder.output_space == Array((7, 7, 4))

    encode = jax.jit(autoencoder.encode)
    batches = evaluation_batches(run.examples("abstraction"), 500)
    y = [to_dtype(autoencoder.input_space, batch["y"]) for batch in batches]
    y_prime = np.concatenate([encode(variables, images) for images in y])
    np.testing.assert_allclose(y_prime.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(y_prime.std(axis=(0, 1, 2)), 1, atol=1e-4)
    assert np.all(variables["moments"]["std"] != 1)
