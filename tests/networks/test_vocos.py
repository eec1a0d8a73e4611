"""Vocos: shapes, masks, closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.modalities.audio.stft import istft
from regen_jax.networks.layer_stack import Layer
from regen_jax.networks.vocos import ConvNeXtBlock, InverseSTFT, Vocos

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 9, 5)).astype(np.float32)
EVERY = np.ones((2, 9), bool)
LAYER = Layer(0)


def random_variables(module, *inputs) -> dict:
    """Parameters of every layer at random, quicker to make than a true start."""
    rng = np.random.default_rng(1)
    return jax.tree.map(
        lambda p: rng.normal(0, 0.3, p.shape).astype(np.float32),
        jax.eval_shape(module.init, jax.random.key(0), *inputs),
    )


def test_block_equals_a_depthwise_convolution_and_an_mlp():
    block = ConvNeXtBlock(scale=0.5, expansion=2)
    variables = random_variables(block, X, LAYER, EVERY)
    params = variables["params"]
    padded = np.pad(X, ((0, 0), (3, 3), (0, 0)))
    h = params["bias"] + np.stack(
        [
            [
                np.convolve(padded[b, :, c], params["kernel"][::-1, c], "valid")
                for c in range(5)
            ]
            for b in range(2)
        ]
    ).transpose(0, 2, 1)
    h = (h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + 1e-6)
    h = h * params["LayerNorm_0"]["scale"] + params["LayerNorm_0"]["bias"]
    h = h @ params["Linear_0"]["kernel"] + params["Linear_0"]["bias"]
    h = np.asarray(jax.nn.gelu(h))
    h = h @ params["Linear_1"]["kernel"] + params["Linear_1"]["bias"]
    output = jax.jit(block.apply)(variables, X, LAYER, EVERY)[0]
    np.testing.assert_allclose(output, X + params["scale"] * h, atol=1e-4)

    start = jax.jit(block.init)(jax.random.key(0), X, LAYER, EVERY)["params"]
    np.testing.assert_array_equal(start["scale"], np.full(5, 0.5))


def test_head_of_zeros_gives_the_envelope_and_a_pulse_per_frame():
    head = InverseSTFT(16, 4)
    variables = jax.tree.map(jnp.zeros_like, random_variables(head, X, EVERY))
    envelope = jnp.full((2, 9, 9), np.log(3.0))
    wave = np.asarray(jax.jit(head.apply)(variables, X, EVERY, envelope))
    assert np.all(np.abs(wave).argmax(axis=1) % 4 == 0) and np.all(wave[:, ::4] > 1)
    assert np.all(np.abs(np.delete(wave, np.arange(0, 36, 4), axis=1)) < 1e-5)


def test_head_transforms_magnitudes_and_phases():
    head = InverseSTFT(16, 4)
    variables = random_variables(head, X, EVERY)
    dense = variables["params"]["spectrum"]
    dense["bias"][3] = 9.0  # a magnitude of exp(9), to be clipped at 100
    log_magnitude, phase = np.split(X @ dense["kernel"] + dense["bias"], 2, axis=-1)
    magnitude = np.minimum(np.exp(log_magnitude), 100)
    assert (magnitude == 100).any()
    # From the center of a frame to its start, bin k turns by k half turns.
    turned = magnitude * np.exp(1j * (phase - np.pi * np.arange(9)))
    spectrum = jnp.asarray(turned, jnp.complex64)
    wave = jax.jit(head.apply)(variables, X, EVERY)
    assert wave.shape == (2, 36) and wave.dtype == np.float32
    np.testing.assert_allclose(wave, istft(spectrum, 16, 4), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("garbage", [3.0, np.nan])
def test_values_in_padding_change_nothing(garbage):
    network = Vocos(width=6, num_layers=2, n_fft=16, hop=4)
    mask = np.arange(9) < np.array([[9], [4]])
    variables = random_variables(network, X, EVERY)
    apply = jax.jit(network.apply)
    wave = apply(variables, np.where(mask[..., None], X, garbage), mask)
    np.testing.assert_array_equal(
        wave, apply(variables, np.where(mask[..., None], X, 0), mask)
    )
    alone = apply(variables, X[1:, :4], EVERY[1:, :4])
    np.testing.assert_allclose(wave[1, :16], alone[0], rtol=1e-4, atol=1e-5)
    assert not np.any(wave[1, 16:])


def test_bfloat16_keeps_parameters_and_wave_in_float32():
    network = Vocos(6, 1, 16, 4, jnp.bfloat16)
    variables = jax.eval_shape(network.init, jax.random.key(0), X, EVERY)
    assert {x.dtype for x in jax.tree.leaves(variables)} == {np.dtype(np.float32)}
    wave = jax.eval_shape(network.apply, variables, X, EVERY)
    assert wave.dtype == np.float32
