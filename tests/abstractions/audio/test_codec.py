"""The codec: spaces, padding, the way back, what trains, what it learns."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.audio.codec import Codec
from regen_jax.abstractions.bottlenecks.fsq import FiniteScalarQuantizer
from regen_jax.abstractions.bottlenecks.rvq import ResidualVectorQuantizer
from regen_jax.interfaces import LossOutput
from regen_jax.losses.spectral import spectral_losses
from regen_jax.spaces import Array, Padded, Tokens

CODE = 64  # samples
WAVES = Array((6 * CODE,), -1.0, 1.0, padded=True)
RVQ = ResidualVectorQuantizer(codes=5, dim=3, depth=2, dropout=0.0, candidates=2)
CODEC = Codec(
    WAVES,
    RVQ,
    width=8,
    num_layers=1,
    hop=32,
    n_fft=128,
    num_mels=8,
    segment=0,
    resolutions=(64,),
)
FSQ = dataclasses.replace(
    CODEC,
    input_space=Array(WAVES.shape, -1.0, 1.0),
    quantizer=FiniteScalarQuantizer((4, 3)),
)
SEGMENT = dataclasses.replace(CODEC, segment=4)
ADVERSARIAL = dataclasses.replace(SEGMENT, adversarial=0.5)
KEYS = jax.random.split(jax.random.key(1), 3)
LENGTH = np.array([6 * CODE, 3 * CODE, CODE + 1], np.int32)
NUMBER = np.array([6, 3, 2])
VALUES = np.random.default_rng(0).normal(0, 0.2, (3, *WAVES.shape)).astype(np.float32)

encode = jax.jit(Codec.encode, static_argnums=0)
decode = jax.jit(Codec.decode, static_argnums=0)
loss = jax.jit(Codec.loss, static_argnums=(0, 4))


def waves(garbage: float = 0.0) -> Padded:
    beyond = np.arange(WAVES.shape[0]) >= LENGTH[:, None]
    return Padded(np.where(beyond, garbage, VALUES).astype(np.float32), LENGTH)


def drawn(codec: Codec) -> dict:
    """Variables as `init` shapes them; its random numbers take seconds to compile."""
    rng = np.random.default_rng(1)
    y = waves() if codec.input_space.padded else VALUES
    shapes = jax.eval_shape(codec.init, KEYS[0], y)
    variables = jax.tree.map(
        lambda p: rng.normal(0, 0.3, p.shape).astype(p.dtype), shapes
    )
    if "counts" in variables["codebook"]:
        variables["codebook"]["counts"] = np.ones((2, 5), np.float32)
    if codec.adversarial:
        variables["progress"] = {"step": jnp.zeros((), jnp.int32)}
    return variables


@pytest.fixture(scope="module")
def variables() -> dict:
    return drawn(CODEC)


def test_codes_are_a_padded_stack(variables):
    assert CODEC.output_space == Tokens(6, 6, depth=2, padded=True)
    assert FSQ.output_space == Tokens(6, 12)
    codes = np.asarray(encode(CODEC, variables, waves()))
    assert codes.shape == (3, 6, 2) and codes.dtype == np.int32
    length_mask = np.arange(6) < NUMBER[:, None]
    assert codes[length_mask].min() >= 1 and codes[length_mask].max() <= 5
    assert not np.any(codes[~length_mask]) and len(np.unique(codes)) > 3

    found = decode(CODEC, variables, codes)
    np.testing.assert_array_equal(found.length, NUMBER * CODE)
    assert found.values.shape == VALUES.shape and found.values.dtype == np.float32
    for wave, end in zip(found.values, NUMBER * CODE, strict=True):
        assert np.any(wave[:end]) and not np.any(wave[end:])


@pytest.mark.parametrize("garbage", [2.0, np.nan])
def test_what_lies_beyond_the_length_changes_nothing(variables, garbage):
    codes = encode(CODEC, variables, waves(garbage))
    np.testing.assert_array_equal(codes, encode(CODEC, variables, waves()))
    # Garbage behind the first 0 of codes, too.
    dirty = np.where((np.asarray(codes) == 0).cumsum(axis=1) > 2, 4, codes)
    assert np.any(dirty != codes)
    found, clean = decode(CODEC, variables, dirty), decode(CODEC, variables, codes)
    np.testing.assert_array_equal(found.values, clean.values)
    for codec, train in ((CODEC, False), (SEGMENT, True)):
        found = loss(codec, variables, KEYS, waves(garbage), train)
        clean = loss(codec, variables, KEYS, waves(), train)
        jax.tree.map(np.testing.assert_array_equal, found, clean)
        assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(found))
        counts = np.asarray(found.sums["code_counts"]).sum(axis=1)
        expected = np.minimum(NUMBER, 2) if train else NUMBER
        np.testing.assert_array_equal(counts, 2 * [expected.sum()])
    alone = loss(
        SEGMENT, variables, KEYS[1:2], Padded(*(x[1:2] for x in waves())), True
    )
    np.testing.assert_allclose(alone.loss[0], found.loss[1], rtol=1e-5)


def test_the_way_back_gives_what_the_loss_saw(variables):
    objective = loss(CODEC, variables, KEYS, waves(), True)
    made = decode(CODEC, variables, encode(CODEC, variables, waves()))
    assert np.abs(made.values).max() < 1  # nothing was clipped
    terms = spectral_losses(made.values, waves().values, LENGTH, (64,), 16000)
    for name, value in terms.items():
        np.testing.assert_allclose(objective.metrics[f"{name}_loss"], value, rtol=1e-3)
    total = sum(terms.values()) + objective.metrics["quantizer_loss"]
    np.testing.assert_allclose(objective.loss, total, rtol=1e-3)


def test_without_padding_codes_start_at_0():
    variables = drawn(FSQ)
    codes = encode(FSQ, variables, VALUES)
    assert codes.shape == (3, 6) and codes.min() >= 0 and codes.max() < 12
    assert decode(FSQ, variables, codes).shape == VALUES.shape
    objective = loss(FSQ, variables, KEYS, VALUES, False)
    counts = np.bincount(np.asarray(codes).ravel(), minlength=12)
    np.testing.assert_array_equal(objective.sums["code_counts"], counts)
    found = FSQ.summarize({"loss": 1.0}, objective.sums)
    assert set(found) == {"loss", "codebook_use", "codebook_perplexity"}


def test_update_steps_the_quantizer_and_the_count():
    variables = drawn(ADVERSARIAL)
    objective = loss(SEGMENT, variables, KEYS, waves(), True)
    updated = jax.jit(ADVERSARIAL.update)(variables, KEYS[0], objective)
    update = jax.jit(RVQ.update)
    expected = update(
        variables["codebook"], KEYS[0], objective.sums, objective.per_example
    )
    jax.tree.map(np.testing.assert_array_equal, updated["codebook"], expected)
    assert updated["progress"]["step"] == 1 and variables["progress"]["step"] == 0
    jax.tree.map(np.testing.assert_array_equal, updated["params"], variables["params"])


def test_summary_is_of_each_level_over_a_whole_split():
    counts = np.array([[2, 2, 0, 0, 4], [1, 1, 1, 1, 1]])
    found = CODEC.summarize({}, {"code_counts": counts})
    expected = {
        "codebook_use": 0.8,
        "codebook_use_1": 0.6,
        "codebook_use_2": 1.0,
        "codebook_perplexity": (2**1.5 + 5) / 2,
        "codebook_perplexity_1": 2**1.5,
        "codebook_perplexity_2": 5.0,
    }
    assert found == pytest.approx(expected)


def test_starts_at_latents_within_the_waves():
    clean = jax.jit(CODEC.init)(jax.random.key(0), waves())
    found = jax.jit(CODEC.init)(jax.random.key(0), waves(math.nan))
    jax.tree.map(np.testing.assert_array_equal, found, clean)
    frames, mask = CODEC._frames(*CODEC._wave(waves()))
    latents = CODEC._encoder.apply({"params": clean["params"]["encoder"]}, frames, mask)
    latents = latents[np.arange(6) < NUMBER[:, None]]
    for code in clean["codebook"]["codes"][0]:
        assert np.abs(latents - code).max(axis=-1).min() < 1e-5


def test_gradients_reach_every_network():
    variables = drawn(ADVERSARIAL)

    @jax.jit
    @jax.grad
    def gradient(params):
        now = {**variables, "params": params}
        return ADVERSARIAL.loss(now, KEYS, waves(), True).loss.mean()

    for path, found in jax.tree_util.tree_leaves_with_path(
        gradient(variables["params"])
    ):
        assert np.all(np.isfinite(found)) and np.any(found), path


def test_quantizer_and_losses_are_float32_under_bfloat16():
    half = dataclasses.replace(ADVERSARIAL, dtype="bfloat16")
    variables = jax.eval_shape(half.init, KEYS[0], waves())
    leaves = jax.tree.leaves((variables["params"], variables["codebook"]))
    assert {x.dtype for x in leaves} == {np.dtype(np.float32)}
    objective = jax.eval_shape(lambda v: half.loss(v, KEYS, waves(), True), variables)
    assert isinstance(objective, LossOutput) and objective.loss.dtype == np.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"input_space": Array((8, 8, 1), 0.0, 1.0)},
            "needs waves, an Array of samples, not Array(8, 8, 1)",
        ),
        (
            {"stride": 5},
            ("stride 5 times hop 32 does not divide the samples of Array(384, padded)"),
        ),
        (
            {"n_fft": 64},
            (
                "n_fft must be even and a multiple of hop, 3 times it or more, not 64 "
                "with 32"
            ),
        ),
        ({"segment": 3}, "segment must be a multiple of stride 2, or 0, not 3"),
        ({"width": 0}, "width must be at least 1, not 0"),
        (
            {"adversarial_start": -1},
            "adversarial_start must be 0 or more, not -1",
        ),
        (
            {"dtype": "float16"},
            "dtype must be 'float32' or 'bfloat16', not 'float16'",
        ),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError) as error:
        dataclasses.replace(CODEC, **options)
    assert str(error.value) == message
