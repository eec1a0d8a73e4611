"""An autoencoder of images with each kind of bottleneck: what it composes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.autoencoder import Autoencoder
from regen_jax.abstractions.bottlenecks.fsq import FiniteScalarQuantizer
from regen_jax.abstractions.bottlenecks.identity import Identity
from regen_jax.abstractions.bottlenecks.rvq import ResidualVectorQuantizer
from regen_jax.abstractions.bottlenecks.vq import VectorQuantizer
from regen_jax.abstractions.networks.conv2d import Conv2dNetworks
from regen_jax.interfaces import LossOutput
from regen_jax.losses.cross_entropy import CrossEntropy
from regen_jax.losses.squared_error import SquaredError
from regen_jax.metrics.codebook import code_counts
from regen_jax.networks.conv.conv2d import Encoder
from regen_jax.networks.perturbation import add_noise
from regen_jax.spaces import Array, Category, Tokens
from tests.errors import value_error

IMAGES = Array((8, 4, 1), 0.0, 255.0, step=1.0)
VQ = Autoencoder(
    IMAGES,
    Conv2dNetworks((4, 6), num_blocks=1),
    VectorQuantizer(num_codes=7, dim=3, num_candidates=2),
)
FSQ = dataclasses.replace(VQ, bottleneck=FiniteScalarQuantizer((4, 3)))
LATENTS = dataclasses.replace(VQ, bottleneck=Identity(3))
Y = np.random.default_rng(0).integers(0, 256, (6, *IMAGES.shape)).astype(np.float32)
KEYS = jax.random.split(jax.random.key(1), 6)

encode = jax.jit(Autoencoder.encode, static_argnums=0)
decode = jax.jit(Autoencoder.decode, static_argnums=0)
loss = jax.jit(Autoencoder.loss, static_argnums=(0, 4))


def random_variables(autoencoder: Autoencoder) -> dict:
    """Variables as `init` shapes them; its random numbers take seconds to compile."""
    rng = np.random.default_rng(3)
    shapes = jax.eval_shape(autoencoder.init, KEYS[0], Y)
    assert {x.dtype for x in jax.tree.leaves(shapes)} == {np.dtype(np.float32)}

    def draw(path: tuple, x: jax.ShapeDtypeStruct) -> jax.Array:
        # Latents far apart, and images within the bounds.
        scale = 0.2 if path[1].key == "decoder" else 1.5
        fan_in = np.prod(x.shape[:-1]) if x.ndim > 1 else 100
        value = rng.normal(path[-1].key == "scale", scale / np.sqrt(fan_in), x.shape)
        return jnp.asarray(value, jnp.float32)

    variables = jax.tree_util.tree_map_with_path(draw, shapes)
    if "counts" in variables.get("codebook", {}):
        variables["codebook"]["counts"] = jnp.ones(autoencoder.bottleneck.vocab)
    if "moments" in variables:
        variables["moments"] = {"mean": jnp.zeros(3), "std": jnp.ones(3)}
    return variables


@pytest.fixture(scope="module", params=[VQ, FSQ, LATENTS], ids=["vq", "fsq", "latents"])
def model(request):
    variables = random_variables(request.param)
    return request.param, variables, loss(request.param, variables, KEYS, Y, True)


def test_y_prime_is_in_the_output_space(model):
    autoencoder, variables, loss_output = model
    assert autoencoder.latent_shape == (2, 1)
    y_prime = encode(autoencoder, variables, Y)
    if autoencoder is LATENTS:
        assert autoencoder.output_space == Array((2, 1, 3))
        assert y_prime.shape == (6, 2, 1, 3) and y_prime.dtype == np.float32
        return
    vocab = autoencoder.bottleneck.vocab
    assert autoencoder.output_space == Tokens(2, vocab, grid=(2, 1))
    assert y_prime.shape == (6, 2) and y_prime.dtype == np.int32
    assert y_prime.min() >= 0 and y_prime.max() < vocab
    assert len(np.unique(y_prime)) > 2
    counts = np.bincount(y_prime.ravel(), minlength=vocab)
    np.testing.assert_array_equal(loss_output.sums["code_counts"], counts)


def test_loss_is_that_of_the_decoded_y_prime(model):
    autoencoder, variables, loss_output = model
    image = decode(autoencoder, variables, encode(autoencoder, variables, Y))
    assert image.shape == Y.shape and image.dtype == np.float32
    assert image.min() >= 0 and image.max() <= 255
    # Nothing was clipped, or the loss would differ.
    assert 0 < image.min() and image.max() < 255
    error = np.square((image - Y) / 127.5).mean(axis=(1, 2, 3))
    metrics = loss_output.metrics
    np.testing.assert_allclose(metrics["reconstruction_loss"], error, rtol=1e-4)
    expected = error + metrics["bottleneck_loss"]
    np.testing.assert_allclose(loss_output.loss, expected, rtol=1e-4)


def test_loss_in_evaluation_and_of_parts_of_a_batch_is_the_same(model):
    autoencoder, variables, whole = model
    parts = [
        loss(autoencoder, variables, KEYS[part], Y[part], False)
        for part in (slice(0, 2), slice(2, 4), slice(4, 6))
    ]

    def joined(name):
        trees = [getattr(part, name) for part in parts]
        return jax.tree.map(lambda *x: np.concatenate(x), *trees)

    def assert_close(actual, expected):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)

    for name in ("loss", "metrics", "per_example"):
        jax.tree.map(assert_close, joined(name), getattr(whole, name))
    sums = jax.tree.map(lambda *x: sum(x), *[part.sums for part in parts])
    jax.tree.map(assert_close, sums, whole.sums)


def test_gradient_reaches_all_parameters(model):
    autoencoder, variables, _ = model

    def mean_loss(params):
        now = {**variables, "params": params}
        return autoencoder.loss(now, KEYS, Y, True).loss.mean()

    grads = jax.jit(jax.grad(mean_loss))(variables["params"])
    for path, grad in jax.tree_util.tree_leaves_with_path(grads):
        assert np.any(grad), path


def test_codebook_starts_at_latents_of_the_batch():
    networks = Conv2dNetworks((2,), num_blocks=0)
    linear = dataclasses.replace(VQ, networks=networks)
    variables = jax.jit(linear.init)(jax.random.key(0), Y)
    encoder = {"params": variables["params"]["encoder"]}
    apply = jax.jit(Encoder((2,), 3, num_blocks=0).apply)
    latents = apply(encoder, IMAGES.normalize(Y)).reshape(-1, 3)
    distances = np.abs(variables["codebook"]["codes"][:, None] - latents).max(axis=-1)
    np.testing.assert_allclose(distances.min(axis=1), 0, atol=1e-5)


def test_update_passes_statistics_to_the_bottleneck():
    variables = random_variables(VQ)
    loss_output = loss(VQ, variables, KEYS, Y, True)
    updated = jax.jit(VQ.update)(variables, jax.random.key(2), loss_output)
    codebook, old = updated["codebook"], variables["codebook"]
    counts = 0.99 * old["counts"] + 0.01 * loss_output.sums["code_counts"]
    np.testing.assert_allclose(codebook["counts"], counts, rtol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, updated["params"], variables["params"])


def test_summary_has_codebook_metrics_of_quantizers_alone():
    counts = np.array([2, 2, 0, 0, 0, 0, 4])
    summary = VQ.summarize({"loss": 1.0}, {"code_counts": counts})
    assert summary["loss"] == 1.0
    np.testing.assert_allclose(summary["codebook_use"], 3 / 7)
    np.testing.assert_allclose(summary["codebook_perplexity"], 2**1.5, rtol=1e-6)
    assert LATENTS.summarize({"loss": 1.0}, {}) == {"loss": 1.0}


@pytest.mark.parametrize(
    "bottleneck", [VQ.bottleneck, FSQ.bottleneck], ids=["vq", "fsq"]
)
def test_bottleneck_is_float32_under_bfloat16(bottleneck):
    networks = dataclasses.replace(VQ.networks, dtype="bfloat16")
    half = dataclasses.replace(VQ, networks=networks, bottleneck=bottleneck)
    variables = random_variables(half)
    loss_output = loss(half, variables, KEYS, Y, True)
    assert loss_output.loss.dtype == np.float32

    network = networks.encoder(IMAGES, bottleneck.latent_dim)
    encoder = {"params": variables["params"]["encoder"]}
    latents = jax.jit(network.apply)(encoder, IMAGES.normalize(Y))
    assert latents.dtype == jnp.bfloat16
    # The codes of the rounded latents, computed in float32.
    codes = bottleneck.encode(variables["codebook"], latents.astype(jnp.float32))
    np.testing.assert_array_equal(encode(half, variables, Y), codes.reshape(6, -1))
    counts = code_counts(codes, bottleneck.vocab)
    np.testing.assert_array_equal(loss_output.sums["code_counts"], counts)

    if isinstance(bottleneck, VectorQuantizer):
        statistics = LossOutput(
            loss_output.loss, {}, loss_output.sums, loss_output.per_example
        )
        updated = jax.eval_shape(half.update, variables, KEYS[0], statistics)
        leaves = jax.tree.leaves(updated["codebook"])
        assert {x.dtype for x in leaves} == {np.dtype(np.float32)}


def test_finalized_latents_have_zero_mean_and_unit_variance_over_a_split():
    variables = random_variables(LATENTS)
    y_prime = encode(LATENTS, variables, Y)
    reconstruction = decode(LATENTS, variables, y_prime)

    # Batches of different sizes, as the last one of a split has.
    batches = [Y[:2], Y[2:4], Y[4:5], Y[5:]]
    final = LATENTS.finalize(variables, iter(batches))
    assert final["params"] is variables["params"]
    mean = np.mean(y_prime, axis=(0, 1, 2))
    std = np.std(y_prime, axis=(0, 1, 2))
    np.testing.assert_allclose(final["moments"]["mean"], mean, atol=1e-6)
    np.testing.assert_allclose(final["moments"]["std"], std, rtol=1e-5)

    standardized = encode(LATENTS, final, Y)
    np.testing.assert_allclose(np.mean(standardized, axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(np.std(standardized, axis=(0, 1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(
        decode(LATENTS, final, standardized), reconstruction, rtol=1e-4, atol=1e-3
    )


def test_finalize_of_a_quantizer_reads_no_batch():
    def batches():
        pytest.fail("a batch was read")
        yield

    variables = random_variables(FSQ)
    assert FSQ.finalize(variables, batches()) == variables


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (
            Category(3),
            {},
            (
                "networks 'conv2d' need images, an Array of height, width, channels, "
                "not Category(3)"
            ),
        ),
        (
            Array((8, 8, 1), 0.0, 1.0, padded=True),
            {},
            (
                "networks 'conv2d' need images, an Array of height, width, channels, "
                "not Array(8, 8, 1, padded)"
            ),
        ),
        (
            Array((8, 8, 1)),
            {},
            "networks 'conv2d' need an Array with bounds, not Array(8, 8, 1)",
        ),
        (
            Array((12, 6, 1), 0.0, 1.0),
            {},
            (
                "widths has 2 levels, which reduce the resolution 4 times, and 4 does not "
                "divide (12, 6)"
            ),
        ),
        (
            IMAGES,
            {"losses": (SquaredError(), SquaredError(0.5))},
            "losses must differ, but 'squared_error' is there twice",
        ),
        (
            IMAGES,
            {"losses": (SquaredError(0.0),)},
            "losses must be one term or more with a weight above 0",
        ),
        (
            IMAGES,
            {"losses": (CrossEntropy(),)},
            "loss 'cross_entropy' needs Tokens of two ids or more, not Array(8, 4, 1)",
        ),
    ],
)
def test_parts_that_do_not_fit_raise_value_error(space, options, message):
    assert value_error(Autoencoder, space, **options) == message


RVQ = dataclasses.replace(
    VQ, bottleneck=ResidualVectorQuantizer(5, 3, depth=2, dropout=0.0)
)


@pytest.mark.parametrize(
    "model", [VQ, FSQ, RVQ, LATENTS], ids=["vq", "fsq", "rvq", "latents"]
)
def test_code_noise_is_of_what_the_decoder_reads_in_training(model):
    variables = random_variables(model)
    if model is RVQ:
        variables["codebook"]["counts"] = jnp.ones((2, 5))
    # While latents train they are not standardized yet, and have the same noise.
    final_variables = model.finalize(variables, [Y])
    noisy_model = dataclasses.replace(model, code_noise=0.5)

    @jax.jit
    def losses(variables, final_variables):
        y_prime = model.encode(final_variables, Y)
        noisy = add_noise(model.output_space, KEYS, y_prime, 0.5)
        values, mask = model.values(final_variables, noisy)
        expected = model.reconstruction_loss(variables, values, mask, Y).loss
        outputs = [m.loss(variables, KEYS, Y, t) for m, t in arguments]
        own_terms = [output.metrics["bottleneck_loss"] for output in outputs]
        return expected, [o.loss for o in outputs], own_terms

    arguments = [(noisy_model, True), (noisy_model, False), (model, False)]
    expected, (trained, evaluated, plain), own_terms = losses(
        variables, final_variables
    )
    np.testing.assert_allclose(trained - own_terms[0], expected, rtol=1e-4)
    np.testing.assert_array_equal(evaluated, plain)
    np.testing.assert_array_equal(own_terms[0], own_terms[2])
    assert (trained != plain).any()
