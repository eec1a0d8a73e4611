import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.autoencoder import Autoencoder
from regen_jax.abstractions.bottlenecks.fsq import FiniteScalarQuantizer
from regen_jax.abstractions.bottlenecks.vq import VectorQuantizer
from regen_jax.interfaces import LossOutput
from regen_jax.metrics.codebook import code_counts
from regen_jax.networks.conv.conv2d import Encoder
from regen_jax.spaces import Array, Category, Tokens

IMAGES = Array((8, 4, 1), 0.0, 255.0, step=1.0)
VQ = Autoencoder(
    IMAGES, VectorQuantizer(codes=7, dim=3, candidates=2), widths=(4, 6), num_blocks=1
)
FSQ = dataclasses.replace(VQ, quantizer=FiniteScalarQuantizer((4, 3)))
Y = np.random.default_rng(0).integers(0, 256, (6, *IMAGES.shape)).astype(np.float32)
KEYS = jax.random.split(jax.random.key(1), 6)

encode = jax.jit(Autoencoder.encode, static_argnums=0)
decode = jax.jit(Autoencoder.decode, static_argnums=0)
loss = jax.jit(Autoencoder.loss, static_argnums=(0, 4))


def drawn(autoencoder: Autoencoder) -> dict:
    """Variables as `init` shapes them; its random numbers take seconds to compile."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(autoencoder.init, KEYS[0], Y)
    assert {x.dtype for x in jax.tree.leaves(shapes)} == {np.dtype(np.float32)}

    def draw(path: tuple, x: jax.ShapeDtypeStruct) -> jax.Array:
        # Latents far apart, and images within the bounds.
        scale = 0.2 if path[1].key == "decoder" else 1.5
        fan_in = np.prod(x.shape[:-1]) if x.ndim > 1 else 100
        value = rng.normal(path[-1].key == "scale", scale / np.sqrt(fan_in), x.shape)
        return jnp.asarray(value, jnp.float32)

    variables = jax.tree_util.tree_map_with_path(draw, shapes)
    if variables["codebook"]:
        variables["codebook"]["counts"] = jnp.ones(autoencoder.quantizer.vocab)
    return variables


@pytest.fixture(scope="module", params=[VQ, FSQ], ids=["vq", "fsq"])
def model(request):
    variables = drawn(request.param)
    return request.param, variables, loss(request.param, variables, KEYS, Y, True)


def test_codes_are_a_grid_in_raster_order(model):
    autoencoder, variables, objective = model
    codes = encode(autoencoder, variables, Y)
    assert autoencoder.grid == (2, 1)
    assert autoencoder.output_space == Tokens(2, autoencoder.quantizer.vocab)
    assert codes.shape == (6, 2) and codes.dtype == np.int32
    assert codes.min() >= 0 and codes.max() < autoencoder.quantizer.vocab
    assert len(np.unique(codes)) > 2
    counts = np.bincount(codes.ravel(), minlength=autoencoder.quantizer.vocab)
    np.testing.assert_array_equal(objective.sums["code_counts"], counts)


def test_the_way_back_gives_what_the_loss_saw(model):
    autoencoder, variables, objective = model
    image = decode(autoencoder, variables, encode(autoencoder, variables, Y))
    assert image.shape == Y.shape and image.dtype == np.float32
    assert image.min() >= 0 and image.max() <= 255
    # Nothing was clipped, or the loss would differ.
    assert 0 < image.min() and image.max() < 255
    error = np.square((image - Y) / 127.5).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(
        objective.metrics["reconstruction_loss"], error, rtol=1e-4
    )
    np.testing.assert_allclose(
        objective.loss, error + objective.metrics["quantizer_loss"], rtol=1e-4
    )


def test_loss_is_the_same_evaluated_and_however_a_batch_is_split(model):
    autoencoder, variables, whole = model
    parts = [
        loss(autoencoder, variables, KEYS[part], Y[part], False)
        for part in (slice(0, 2), slice(2, 4), slice(4, 6))
    ]

    def joined(name):
        trees = [getattr(part, name) for part in parts]
        return jax.tree.map(lambda *x: np.concatenate(x), *trees)

    def same(found, expected):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)

    for name in ("loss", "metrics", "per_example"):
        jax.tree.map(same, joined(name), getattr(whole, name))
    totals = jax.tree.map(lambda *x: sum(x), *[part.sums for part in parts])
    jax.tree.map(same, totals, whole.sums)


def test_gradient_reaches_the_encoder_and_the_decoder(model):
    autoencoder, variables, _ = model

    def mean(params):
        objective = autoencoder.loss({**variables, "params": params}, KEYS, Y, True)
        return objective.loss.mean()

    grads = jax.jit(jax.grad(mean))(variables["params"])
    for path, grad in jax.tree_util.tree_leaves_with_path(grads):
        assert np.any(grad), path


def test_vq_starts_at_latents_of_the_batch():
    linear = dataclasses.replace(VQ, widths=(2,), num_blocks=0)
    variables = jax.jit(linear.init)(jax.random.key(0), Y)
    network = Encoder(linear.widths, 3, linear.num_blocks)
    encoder = {"params": variables["params"]["encoder"]}
    latents = jax.jit(network.apply)(encoder, IMAGES.normalize(Y)).reshape(-1, 3)
    distances = np.abs(variables["codebook"]["codes"][:, None] - latents).max(axis=-1)
    np.testing.assert_allclose(distances.min(axis=1), 0, atol=1e-5)


def test_update_gives_the_quantizer_the_statistics_of_the_batch():
    variables = drawn(VQ)
    objective = loss(VQ, variables, KEYS, Y, True)
    updated = jax.jit(VQ.update)(variables, jax.random.key(2), objective)
    codebook, old = updated["codebook"], variables["codebook"]
    counts = 0.99 * old["counts"] + 0.01 * objective.sums["code_counts"]
    np.testing.assert_allclose(codebook["counts"], counts, rtol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, updated["params"], variables["params"])


def test_summary_is_of_the_counts_of_a_whole_split():
    counts = np.array([2, 2, 0, 0, 0, 0, 4])
    found = VQ.summarize({"loss": 1.0}, {"code_counts": counts})
    assert found["loss"] == 1.0
    np.testing.assert_allclose(found["codebook_use"], 3 / 7)
    np.testing.assert_allclose(found["codebook_perplexity"], 2**1.5, rtol=1e-6)


@pytest.mark.parametrize("quantizer", [VQ.quantizer, FSQ.quantizer], ids=["vq", "fsq"])
def test_quantizer_is_float32_under_bfloat16(quantizer):
    half = dataclasses.replace(VQ, quantizer=quantizer, dtype="bfloat16")
    variables = drawn(half)
    objective = loss(half, variables, KEYS, Y, True)
    assert objective.loss.dtype == np.float32

    network = Encoder(half.widths, quantizer.latent_dim, half.num_blocks, jnp.bfloat16)
    encoder = {"params": variables["params"]["encoder"]}
    latents = jax.jit(network.apply)(encoder, IMAGES.normalize(Y))
    assert latents.dtype == jnp.bfloat16
    # The codes of the rounded latents, computed in float32.
    codes = quantizer.encode(variables["codebook"], latents.astype(jnp.float32))
    np.testing.assert_array_equal(encode(half, variables, Y), codes.reshape(6, -1))
    counts = code_counts(codes, quantizer.vocab)
    np.testing.assert_array_equal(objective.sums["code_counts"], counts)

    if isinstance(quantizer, VectorQuantizer):
        statistics = LossOutput(
            objective.loss, {}, objective.sums, objective.per_example
        )
        updated = jax.eval_shape(half.update, variables, KEYS[0], statistics)
        leaves = jax.tree.leaves(updated["codebook"])
        assert {x.dtype for x in leaves} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (
            Category(3),
            {},
            "needs images, an Array of height, width, channels, not Category(3)",
        ),
        (
            Array((8, 1), 0.0, 1.0),
            {},
            "needs images, an Array of height, width, channels, not Array(8, 1)",
        ),
        (Array((8, 8, 1)), {}, "needs an Array with bounds, not Array(8, 8, 1)"),
        (
            Array((12, 6, 1), 0.0, 1.0),
            {},
            (
                "widths has 2 levels, which reduce the resolution 4 times, and 4 does not "
                "divide (12, 6)"
            ),
        ),
        (IMAGES, {"widths": ()}, "widths must be one number or more, not none"),
        (IMAGES, {"widths": (4, 0)}, "widths[1] must be at least 1, not 0"),
        (
            IMAGES,
            {"dtype": "float16"},
            "dtype must be 'float32' or 'bfloat16', not 'float16'",
        ),
    ],
)
def test_refuses(space, options, message):
    with pytest.raises(ValueError) as error:
        Autoencoder(space, **options)
    assert str(error.value) == message
