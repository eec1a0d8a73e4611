"""Vocos and the discriminators of sound: shapes, masks, gradients, closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.modalities.audio.stft import istft
from regen_jax.networks.discriminators.spectrum import (
    Judgement,
    SpectrumDiscriminators,
    adversarial_losses,
    discriminator_loss,
    feature_loss,
    generator_loss,
)
from regen_jax.networks.vocos import ConvNeXtBlock, InverseSTFT, Vocos

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 9, 5)).astype(np.float32)
EVERY = np.ones((2, 9), bool)


def drawn(module, *inputs) -> dict:
    """Parameters of every layer at random, quicker to make than a true start."""
    rng = np.random.default_rng(1)
    return jax.tree.map(
        lambda p: rng.normal(0, 0.3, p.shape).astype(np.float32),
        jax.eval_shape(module.init, jax.random.key(0), *inputs),
    )


def test_block_is_a_depthwise_convolution_and_a_perceptron():
    block = ConvNeXtBlock(scale=0.5, expansion=2)
    variables = drawn(block, X, EVERY)
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
    found = jax.jit(block.apply)(variables, X, EVERY)
    np.testing.assert_allclose(found, X + params["scale"] * h, atol=1e-4)

    start = jax.jit(block.init)(jax.random.key(0), X, EVERY)["params"]
    np.testing.assert_array_equal(start["scale"], np.full(5, 0.5))


def test_head_adds_to_an_envelope_and_starts_with_a_pulse_a_frame():
    head = InverseSTFT(16, 4)
    variables = jax.tree.map(jnp.zeros_like, drawn(head, X, EVERY))
    envelope = jnp.full((2, 9, 9), np.log(3.0))
    wave = np.asarray(jax.jit(head.apply)(variables, X, EVERY, envelope))
    assert np.all(np.abs(wave).argmax(axis=1) % 4 == 0) and np.all(wave[:, ::4] > 1)
    assert np.all(np.abs(np.delete(wave, np.arange(0, 36, 4), axis=1)) < 1e-5)


def test_head_transforms_magnitudes_and_phases():
    head = InverseSTFT(16, 4)
    variables = drawn(head, X, EVERY)
    dense = variables["params"]["spectrum"]
    dense["bias"][3] = 9.0  # a magnitude of exp(9), to be clipped at 100
    log_magnitude, phase = np.split(X @ dense["kernel"] + dense["bias"], 2, axis=-1)
    magnitude = np.minimum(np.exp(log_magnitude), 100)
    assert (magnitude == 100).any()
    # From the centre of a frame to its start, bin k turns by k half turns.
    turned = magnitude * np.exp(1j * (phase - np.pi * np.arange(9)))
    spectrum = jnp.asarray(turned, jnp.complex64)
    wave = jax.jit(head.apply)(variables, X, EVERY)
    assert wave.shape == (2, 36) and wave.dtype == np.float32
    np.testing.assert_allclose(wave, istft(spectrum, 16, 4), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("garbage", [3.0, np.nan])
def test_what_lies_beyond_the_length_changes_nothing(garbage):
    network = Vocos(width=6, num_layers=2, n_fft=16, hop=4)
    mask = np.arange(9) < np.array([[9], [4]])
    variables = drawn(network, X, EVERY)
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


def judgement(*logits: list[float], mask=((True, True),)) -> Judgement:
    logits = jnp.asarray(logits, jnp.float32)[..., None]
    return Judgement(logits, [logits[..., None]], jnp.asarray(mask))


def test_losses_are_hinges_over_frames_that_count():
    real = [judgement([2.0, 0.5]), judgement([-1.0, 9.0], mask=[[True, False]])]
    fake = [judgement([-3.0, 0.5]), judgement([1.0, 9.0], mask=[[True, False]])]
    found = discriminator_loss(real, fake)
    np.testing.assert_allclose(found, [((0 + 0) + (0.5 + 1.5)) / 2 / 2 + (2 + 2) / 2])
    np.testing.assert_allclose(generator_loss(fake), [(4 + 0.5) / 2 / 2 + 0])
    np.testing.assert_allclose(feature_loss(real, fake), [(5 + 0) / 2 / 2 + 2 / 2])


def test_each_side_gets_the_gradient_of_its_own_loss():
    discriminators = SpectrumDiscriminators((64,), (4, 4))
    wave, target = RNG.normal(size=(2, 2, 160)).astype(np.float32)
    length = np.array([160, 90])
    counts = np.arange(160) < length[:, None]
    wave, target = np.where(counts, wave, 0), np.where(counts, target, 0)
    params = drawn(discriminators, wave, length)["params"]

    @jax.jit
    def gradients(params, wave, active):
        def of(names):
            def loss(params, wave):
                found = adversarial_losses(
                    discriminators, params, wave, target, length, active
                )
                return sum(found[name].sum() for name in names)

            return jax.grad(loss, (0, 1))(params, wave)

        return [of(["discriminator_loss"]), of(["generator_loss", "feature_loss"])]

    (sample_metrics, none), (nothing, fooling) = gradients(params, wave, True)
    for path, gradient in jax.tree_util.tree_leaves_with_path(sample_metrics):
        assert np.any(gradient), path
    assert np.any(fooling) and not np.any(none)
    assert not any(np.any(x) for x in jax.tree.leaves(nothing))
    idle = gradients(params, wave, False)
    assert not any(np.any(x) for x in jax.tree.leaves(idle))

    # The same waves in a longer batch are judged alike.
    apply = jax.jit(discriminators.apply)
    longer = np.pad(wave, ((0, 0), (0, 96)))
    for name in ("logits", "features"):
        short, long = (
            getattr(apply({"params": params}, x, length)[0], name)
            for x in (wave, longer)
        )
        for a, b in zip(jax.tree.leaves(short), jax.tree.leaves(long), strict=True):
            np.testing.assert_allclose(b[1, :6], a[1, :6], rtol=1e-4, atol=1e-5)
