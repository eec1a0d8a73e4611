"""Causal convolutions of clips: what depends on what, whole clips and chunks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.networks.conv.conv3d import TAPS, Decoder, Encoder, TemporalConv
from tests.networks.parameters import random_variables

ENCODER = Encoder((4, 6), 3, (True, False), num_blocks=2)
DECODER = Decoder((4, 6), 1, (True, False), num_blocks=2)
CLIPS = np.random.default_rng(0).normal(size=(2, 6, 4, 8, 1)).astype(np.float32)
LATENTS = np.random.default_rng(1).normal(size=(2, 3, 1, 2, 3)).astype(np.float32)


@functools.cache
def variables(module):
    return random_variables(module, CLIPS if module is ENCODER else LATENTS)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(
    ("widths", "temporal", "num_blocks"),
    [((4,), (False,), 0), ((4, 6), (False, True), 1), ((4, 6), (True, True), 2)],
)
def test_shapes_follow_widths_and_temporal_levels(widths, temporal, num_blocks, dtype):
    factor, frames = 2 ** len(widths), 2 ** sum(temporal)
    encoder = Encoder(widths, 5, temporal, num_blocks, dtype)
    clip = jax.ShapeDtypeStruct((2, 3 * frames, factor, 2 * factor, 1), jnp.float32)
    rng = jax.random.key(0)
    latents, encoder_variables = jax.eval_shape(encoder.init_with_output, rng, clip)
    assert latents.shape == (2, 3, 1, 2, 5) and latents.dtype == dtype
    decoder = Decoder(widths, 3, temporal, num_blocks, dtype, skip=frames - 1)
    output, decoder_variables = jax.eval_shape(decoder.init_with_output, rng, latents)
    assert output.shape == (2, 2 * frames + 1, factor, 2 * factor, 3)
    assert output.dtype == jnp.float32
    leaves = jax.tree.leaves((encoder_variables, decoder_variables))
    assert {leaf.dtype for leaf in leaves} == {np.dtype(np.float32)}


def test_temporal_convolution_equals_that_of_numpy():
    module = TemporalConv(2)
    x = CLIPS[:1, :, :1, :1]
    parameters = random_variables(module, x)
    y, past = jax.jit(module.apply)(parameters, x)
    taps = parameters["params"]["taps"]
    signal = np.concatenate([x[0, :1, 0, 0, 0]] * (TAPS - 1) + [x[0, :, 0, 0, 0]])
    for channel in range(2):
        kernel = taps["kernel"][:, channel]
        expected = np.convolve(signal, kernel[::-1], "valid") + taps["bias"][channel]
        np.testing.assert_allclose(y[0, :, 0, 0, channel], expected, atol=1e-6)
    np.testing.assert_array_equal(past, x[:, -(TAPS - 1) :])


@pytest.mark.parametrize(
    ("module", "x", "into", "out_of"),
    [(ENCODER, CLIPS, 2, 1), (DECODER, LATENTS, 1, 2)],
    ids=["encoder", "decoder"],
)
def test_gradient_from_outputs_to_later_inputs_is_zero(module, x, into, out_of):
    own = variables(module)

    @jax.jit
    def gradient(weights):
        def total(x):
            y = module.apply(own, x)
            return (jnp.square(y).mean(axis=(0, 2, 3, 4)) * weights).sum()

        return jnp.abs(jax.grad(total)(x)).max(axis=(0, 2, 3, 4))

    # Inputs and outputs in steps of the lower frame rate.
    for step in range(3):
        frames = np.arange(3 * out_of) // out_of == step
        reached = np.asarray(gradient(jnp.float32(frames))).reshape(3, into) > 0
        assert np.all(reached[step]) and not np.any(reached[step + 1 :])
        # Two taps in each of two levels reach far.
        assert np.all(reached[: step + 1])


@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 2), (2, 1)])
def test_chunks_with_a_cache_equal_the_whole(sizes):
    ends = np.cumsum(sizes)
    latents = jax.jit(ENCODER.apply)(variables(ENCODER), CLIPS)
    encode = jax.jit(functools.partial(ENCODER.apply, method=ENCODER.encode_chunk))
    cache, parts = None, []
    for end, size in zip(ends, sizes, strict=True):
        chunk = CLIPS[:, 2 * (end - size) : 2 * end]
        part, cache = encode(variables(ENCODER), chunk, cache)
        parts.append(part)
    np.testing.assert_allclose(np.concatenate(parts, 1), latents, atol=1e-6)

    decoder = DECODER.clone(skip=1)
    frames = jax.jit(decoder.apply)(variables(DECODER), LATENTS)
    assert frames.shape[1] == 5
    decode = jax.jit(functools.partial(decoder.apply, method=decoder.decode_chunk))
    cache, parts = None, []
    for end, size in zip(ends, sizes, strict=True):
        chunk = LATENTS[:, end - size : end]
        part, cache = decode(variables(DECODER), chunk, cache)
        parts.append(part)
    np.testing.assert_allclose(np.concatenate(parts, 1), frames, atol=1e-6)


def test_still_clip_has_still_latents_and_frames():
    still = np.repeat(CLIPS[:, :1], 6, axis=1)
    latents = np.asarray(jax.jit(ENCODER.apply)(variables(ENCODER), still))
    np.testing.assert_allclose(latents, latents[:, :1].repeat(3, 1), atol=1e-6)
    frames = jax.jit(DECODER.apply)(variables(DECODER), latents[:, :1].repeat(3, 1))
    # Either frame of a pair has weights of its own.
    pairs = np.asarray(frames).reshape(2, 3, 2, *frames.shape[2:])
    np.testing.assert_allclose(pairs, pairs[:, :1].repeat(3, 1), atol=1e-6)


def test_chunk_with_part_of_a_latent_raises_value_error():
    message = (
        "chunks must have a multiple of 2 frames, not 5: see pad_front for the first"
    )
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(ENCODER.init, jax.random.key(0), CLIPS[:, :5])
