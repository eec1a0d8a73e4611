"""A codec: an autoencoder of waves, padded or not, with an adversary or without."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.autoencoder import Autoencoder
from regen_jax.abstractions.bottlenecks.fsq import FiniteScalarQuantizer
from regen_jax.abstractions.bottlenecks.identity import Identity
from regen_jax.abstractions.bottlenecks.rvq import ResidualVectorQuantizer
from regen_jax.abstractions.networks.vocos import VocosNetworks
from regen_jax.interfaces import LossOutput
from regen_jax.losses.adversarial import Adversarial
from regen_jax.losses.spectral import Spectral, spectral_losses
from regen_jax.networks.discriminators.spectrum import Spectrum
from regen_jax.spaces import Array, Padded, Tokens
from tests.errors import value_error

CODE = 64  # samples
WAVES = Array((6 * CODE,), -1.0, 1.0, padded=True)
RVQ = ResidualVectorQuantizer(
    num_codes=5, dim=3, depth=2, dropout=0.0, num_candidates=2
)
NETWORKS = VocosNetworks(
    width=8, num_layers=1, hop=32, n_fft=128, num_mels=8, segment=0
)
CODEC = Autoencoder(WAVES, NETWORKS, RVQ, (Spectral(resolutions=(64,)),))
FSQ = dataclasses.replace(
    CODEC,
    input_space=Array(WAVES.shape, -1.0, 1.0),
    bottleneck=FiniteScalarQuantizer((4, 3)),
)
SEGMENT = dataclasses.replace(CODEC, networks=dataclasses.replace(NETWORKS, segment=4))
ADVERSARY = Adversarial(0.5, start=1, discriminator=Spectrum((64,)))
ADVERSARIAL = dataclasses.replace(SEGMENT, losses=(*CODEC.losses, ADVERSARY))
KEYS = jax.random.split(jax.random.key(1), 3)
LENGTH = np.array([6 * CODE, 3 * CODE, CODE + 1], np.int32)
NUMBER = np.array([6, 3, 2])
VALUES = np.random.default_rng(0).normal(0, 0.2, (3, *WAVES.shape)).astype(np.float32)

encode = jax.jit(Autoencoder.encode, static_argnums=0)
decode = jax.jit(Autoencoder.decode, static_argnums=0)
loss = jax.jit(Autoencoder.loss, static_argnums=(0, 4))


def waves(garbage: float = 0.0) -> Padded:
    beyond = np.arange(WAVES.shape[0]) >= LENGTH[:, None]
    return Padded(np.where(beyond, garbage, VALUES).astype(np.float32), LENGTH)


def random_variables(codec: Autoencoder) -> dict:
    """Variables as `init` shapes them; its random numbers take seconds to compile."""
    rng = np.random.default_rng(4)
    y = waves() if codec.input_space.padded else VALUES
    shapes = jax.eval_shape(codec.init, KEYS[0], y)
    variables = jax.tree.map(
        lambda p: rng.normal(0, 0.3, p.shape).astype(p.dtype), shapes
    )
    if "counts" in variables.get("codebook", {}):
        variables["codebook"]["counts"] = np.ones((2, 5), np.float32)
    if "progress" in variables:
        variables["progress"] = {"step": jnp.ones((), jnp.int32)}
    return variables


@pytest.fixture(scope="module")
def variables() -> dict:
    return random_variables(CODEC)


def test_codes_of_padded_waves_are_a_padded_stack(variables):
    assert CODEC.output_space == Tokens(6, 6, depth=2, padded=True)
    assert FSQ.output_space == Tokens(6, 12)
    codes = np.asarray(encode(CODEC, variables, waves()))
    assert codes.shape == (3, 6, 2) and codes.dtype == np.int32
    length_mask = np.arange(6) < NUMBER[:, None]
    assert codes[length_mask].min() >= 1 and codes[length_mask].max() <= 5
    assert not np.any(codes[~length_mask]) and len(np.unique(codes)) > 3

    decoded = decode(CODEC, variables, codes)
    np.testing.assert_array_equal(decoded.length, NUMBER * CODE)
    assert decoded.values.shape == VALUES.shape and decoded.values.dtype == np.float32
    for wave, end in zip(decoded.values, NUMBER * CODE, strict=True):
        assert np.any(wave[:end]) and not np.any(wave[end:])


@pytest.mark.parametrize("garbage", [2.0, np.nan])
def test_values_in_padding_change_nothing(variables, garbage):
    codes = encode(CODEC, variables, waves(garbage))
    np.testing.assert_array_equal(codes, encode(CODEC, variables, waves()))
    # Codes after the first 0 change nothing either.
    dirty = np.where((np.asarray(codes) == 0).cumsum(axis=1) > 2, 4, codes)
    assert np.any(dirty != codes)
    actual, clean = decode(CODEC, variables, dirty), decode(CODEC, variables, codes)
    np.testing.assert_array_equal(actual.values, clean.values)
    for codec, train in ((CODEC, False), (SEGMENT, True)):
        actual = loss(codec, variables, KEYS, waves(garbage), train)
        clean = loss(codec, variables, KEYS, waves(), train)
        jax.tree.map(np.testing.assert_array_equal, actual, clean)
        assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(actual))
        counts = np.asarray(actual.sums["code_counts"]).sum(axis=1)
        expected = np.minimum(NUMBER, 2) if train else NUMBER
        np.testing.assert_array_equal(counts, 2 * [expected.sum()])
    alone = loss(
        SEGMENT, variables, KEYS[1:2], Padded(*(x[1:2] for x in waves())), True
    )
    np.testing.assert_allclose(alone.loss[0], actual.loss[1], rtol=1e-5)


def test_loss_is_that_of_the_decoded_codes(variables):
    loss_output = loss(CODEC, variables, KEYS, waves(), True)
    decoded = decode(CODEC, variables, encode(CODEC, variables, waves()))
    assert np.abs(decoded.values).max() < 1  # nothing was clipped
    terms = spectral_losses(decoded.values, waves().values, LENGTH, (64,), 16000)
    for name, value in terms.items():
        np.testing.assert_allclose(
            loss_output.metrics[f"{name}_loss"], value, rtol=1e-3
        )
    total = sum(terms.values()) + loss_output.metrics["bottleneck_loss"]
    np.testing.assert_allclose(loss_output.loss, total, rtol=1e-3)


def test_codes_without_padding_start_at_0():
    variables = random_variables(FSQ)
    codes = encode(FSQ, variables, VALUES)
    assert codes.shape == (3, 6) and codes.min() >= 0 and codes.max() < 12
    assert decode(FSQ, variables, codes).shape == VALUES.shape
    loss_output = loss(FSQ, variables, KEYS, VALUES, False)
    counts = np.bincount(np.asarray(codes).ravel(), minlength=12)
    np.testing.assert_array_equal(loss_output.sums["code_counts"], counts)
    summary = FSQ.summarize({"loss": 1.0}, loss_output.sums)
    assert set(summary) == {"loss", "codebook_use", "codebook_perplexity"}


def test_update_steps_the_bottleneck_and_the_count():
    variables = random_variables(ADVERSARIAL)
    loss_output = loss(SEGMENT, variables, KEYS, waves(), True)
    updated = jax.jit(ADVERSARIAL.update)(variables, KEYS[0], loss_output)
    update = jax.jit(RVQ.update)
    expected = update(
        variables["codebook"], KEYS[0], loss_output.sums, loss_output.per_example
    )
    jax.tree.map(np.testing.assert_array_equal, updated["codebook"], expected)
    assert updated["progress"]["step"] == 2 and variables["progress"]["step"] == 1
    jax.tree.map(np.testing.assert_array_equal, updated["params"], variables["params"])


def test_summary_has_metrics_of_each_level():
    counts = np.array([[2, 2, 0, 0, 4], [1, 1, 1, 1, 1]])
    summary = CODEC.summarize({}, {"code_counts": counts})
    expected = {
        "codebook_use": 0.8,
        "codebook_use_1": 0.6,
        "codebook_use_2": 1.0,
        "codebook_perplexity": (2**1.5 + 5) / 2,
        "codebook_perplexity_1": 2**1.5,
        "codebook_perplexity_2": 5.0,
    }
    assert summary == pytest.approx(expected)


def test_codebook_starts_at_latents_outside_padding():
    clean = jax.jit(CODEC.init)(jax.random.key(0), waves())
    dirty = jax.jit(CODEC.init)(jax.random.key(0), waves(math.nan))
    jax.tree.map(np.testing.assert_array_equal, dirty, clean)
    frames, mask = NETWORKS.preprocess(WAVES, waves()), NETWORKS.mask(WAVES, waves())
    np.testing.assert_array_equal(mask, np.arange(6) < NUMBER[:, None])
    encoder = {"params": clean["params"]["encoder"]}
    apply = jax.jit(NETWORKS.encoder(WAVES, 3).apply)
    latents = np.asarray(apply(encoder, frames, mask))[mask]
    for code in np.asarray(clean["codebook"]["codes"][0]):
        assert np.abs(latents - code).max(axis=-1).min() < 1e-5


def test_gradient_reaches_all_parameters():
    variables = random_variables(ADVERSARIAL)

    @jax.jit
    @jax.grad
    def gradient(params):
        now = {**variables, "params": params}
        return ADVERSARIAL.loss(now, KEYS, waves(), True).loss.mean()

    gradients = gradient(variables["params"])
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.all(np.isfinite(leaf)) and np.any(leaf), path


def test_finalized_latents_have_zero_mean_and_unit_variance_outside_padding():
    autoencoder = dataclasses.replace(CODEC, bottleneck=Identity(3))
    assert autoencoder.output_space == Array((6, 3), padded=True)
    variables = random_variables(autoencoder)
    variables["moments"] = {"mean": np.zeros(3), "std": np.ones(3)}
    y_prime = encode(autoencoder, variables, waves())
    np.testing.assert_array_equal(y_prime.length, NUMBER)
    mask = np.arange(6) < NUMBER[:, None]
    assert np.any(y_prime.values[mask]) and not np.any(y_prime.values[~mask])

    batches = [Padded(*(x[i : i + 1] for x in waves(9.0))) for i in range(3)]
    final = autoencoder.finalize(variables, batches)
    standardized = encode(autoencoder, final, waves())
    valid = standardized.values[mask]
    np.testing.assert_allclose(valid.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(valid.std(axis=0), 1, rtol=1e-4)
    for before, after in zip(
        decode(autoencoder, variables, y_prime),
        decode(autoencoder, final, standardized),
        strict=True,
    ):
        np.testing.assert_allclose(after, before, atol=1e-3)


def test_bottleneck_and_losses_are_float32_under_bfloat16():
    networks = dataclasses.replace(NETWORKS, dtype="bfloat16")
    half = dataclasses.replace(ADVERSARIAL, networks=networks)
    variables = jax.eval_shape(half.init, KEYS[0], waves())
    leaves = jax.tree.leaves((variables["params"], variables["codebook"]))
    assert {x.dtype for x in leaves} == {np.dtype(np.float32)}
    loss_output = jax.eval_shape(lambda v: half.loss(v, KEYS, waves(), True), variables)
    assert isinstance(loss_output, LossOutput) and loss_output.loss.dtype == np.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"n_fft": 64},
            (
                "n_fft must be even and a multiple of hop, 3 times it or more, not 64 "
                "with 32"
            ),
        ),
        ({"segment": 3}, "segment must be a multiple of stride 2, or 0, not 3"),
        ({"width": 0}, "width must be at least 1, not 0"),
        ({"dtype": "float16"}, "dtype must be 'float32' or 'bfloat16', not 'float16'"),
    ],
)
def test_option_out_of_range_raises_value_error(options, message):
    assert value_error(dataclasses.replace, NETWORKS, **options) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"input_space": Array((8, 8, 1), 0.0, 1.0)},
            ("networks 'vocos' need waves, an Array of samples, not Array(8, 8, 1)"),
        ),
        (
            {"networks": dataclasses.replace(NETWORKS, stride=5)},
            "stride 5 times hop 32 does not divide the samples of Array(384, padded)",
        ),
    ],
)
def test_networks_that_do_not_fit_raise_value_error(options, message):
    assert value_error(dataclasses.replace, CODEC, **options) == message
