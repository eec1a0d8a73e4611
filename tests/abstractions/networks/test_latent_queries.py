"""An autoencoder of sequences of tokens: padding, gradients, what it learns."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.abstractions.autoencoder import Autoencoder
from regen_jax.abstractions.bottlenecks.fsq import FiniteScalarQuantizer
from regen_jax.abstractions.bottlenecks.rvq import ResidualVectorQuantizer
from regen_jax.abstractions.bottlenecks.vq import VectorQuantizer
from regen_jax.abstractions.networks.latent_queries import LatentQueriesNetworks
from regen_jax.config.assembly import join_arrows, make_abstraction
from regen_jax.errors import UserError
from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.losses.cross_entropy import CrossEntropy
from regen_jax.spaces import Array, Category, Tokens
from tests.errors import value_error

NETWORKS = LatentQueriesNetworks(num_latents=4, width=16, num_layers=1, num_heads=2)
VQ = Autoencoder(
    Tokens(6, 8, padded=True),
    NETWORKS,
    VectorQuantizer(num_codes=12, dim=4, num_candidates=2),
    (CrossEntropy(),),
)
FSQ = dataclasses.replace(
    VQ,
    input_space=Tokens(5, 6, 2, padded=True),
    bottleneck=FiniteScalarQuantizer((5, 5)),
)
KEYS = jax.random.split(jax.random.key(1), 8)
OPTIMIZER = optax.chain(optax.scale_by_sign(), optax.scale(-4e-3))

encode = jax.jit(Autoencoder.encode, static_argnums=0)
decode = jax.jit(Autoencoder.decode, static_argnums=0)


@jax.jit(static_argnums=0)
def step(autoencoder, variables, state, rng, y):
    """Variables and state of the optimizer after a step; its loss_output and gradients."""

    def mean(params):
        loss_output = autoencoder.loss({**variables, "params": params}, KEYS, y, True)
        return loss_output.loss.mean(), loss_output

    params = variables["params"]
    grads, loss_output = jax.grad(mean, has_aux=True)(params)
    updates, state = OPTIMIZER.update(grads, state)
    variables = {**variables, "params": optax.apply_updates(params, updates)}
    return autoencoder.update(variables, rng, loss_output), state, loss_output, grads


def sequences(space: Tokens) -> np.ndarray:
    """8 sequences, of which one is empty and one is as long as can be."""
    rng = np.random.default_rng(0)
    y = rng.integers(1, space.vocab, (8, *space.shape)).astype(np.int32)
    lengths = [0, space.length, *rng.integers(2, space.length + 1, 6)]
    for row, length in zip(y, lengths, strict=True):
        row[length:] = 0
    return y


def random_variables(autoencoder: Autoencoder, y: np.ndarray) -> dict:
    """Variables as `init` shapes them; its random numbers take seconds to compile."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(autoencoder.init, KEYS[0], y)
    assert {x.dtype for x in jax.tree.leaves(shapes)} == {np.dtype(np.float32)}

    def draw(path: tuple, x: jax.ShapeDtypeStruct) -> jax.Array:
        fan_in = np.prod(x.shape[:-1]) if x.ndim > 1 else 100
        value = rng.normal(path[-1].key == "scale", 1 / np.sqrt(fan_in), x.shape)
        return jnp.asarray(value, jnp.float32)

    variables = jax.tree_util.tree_map_with_path(draw, shapes)
    if variables["codebook"]:
        counts = jnp.ones(autoencoder.bottleneck.vocab)
        codes = variables["codebook"]["codes"]
        variables["codebook"] |= {"counts": counts, "sums": codes}
    return variables


@pytest.fixture(scope="module", params=[VQ, FSQ], ids=["vq", "fsq"])
def model(request):
    y = sequences(request.param.input_space)
    variables = random_variables(request.param, y)
    state = OPTIMIZER.init(variables["params"])
    taken = step(request.param, variables, state, KEYS[0], y)
    return request.param, variables, y, *taken[2:]


def test_number_of_codes_is_the_same_for_every_sequence(model):
    autoencoder, variables, y, loss_output, _ = model
    codes = np.asarray(encode(autoencoder, variables, y))
    assert autoencoder.output_space == Tokens(4, autoencoder.bottleneck.vocab)
    assert codes.shape == (8, 4) and codes.dtype == np.int32
    counts = np.bincount(codes.ravel(), minlength=autoencoder.bottleneck.vocab)
    np.testing.assert_array_equal(loss_output.sums["code_counts"], counts)


def test_accuracy_is_that_of_the_decoded_codes(model):
    autoencoder, variables, y, loss_output, _ = model
    decoded = np.asarray(
        decode(autoencoder, variables, encode(autoencoder, variables, y))
    )
    assert decoded.shape == y.shape and decoded.dtype == np.int32
    ended = np.cumprod(decoded.reshape(*y.shape[:2], -1)[..., 0] > 0, axis=1) == 0
    assert np.all(decoded[ended] == 0) and np.all(decoded[~ended] > 0)
    same = np.all(decoded == y, axis=tuple(range(1, y.ndim)))
    metrics = loss_output.metrics
    np.testing.assert_array_equal(metrics["sequence_accuracy"], same)
    np.testing.assert_allclose(
        loss_output.loss,
        metrics["reconstruction_loss"] + metrics["bottleneck_loss"],
        rtol=1e-5,
    )


def test_tokens_after_the_end_change_nothing(model):
    autoencoder, variables, y, loss_output, grads = model
    dirty = np.where(np.cumsum(y == 0, axis=1) > 1, 1, y)
    assert np.any(dirty != y)
    state = OPTIMIZER.init(variables["params"])
    results = step(autoencoder, variables, state, KEYS[0], dirty)[2:]
    jax.tree.map(np.testing.assert_array_equal, results, (loss_output, grads))


def test_gradient_reaches_all_parameters(model):
    *_, grads = model
    for path, grad in jax.tree_util.tree_leaves_with_path(grads):
        assert np.any(grad) and np.all(np.isfinite(grad)), path


def test_training_memorizes_a_few_sequences(model):
    autoencoder, variables, y, *_ = model
    state = OPTIMIZER.init(variables["params"])
    for rng in jax.random.split(KEYS[0], 150):
        variables, state, loss_output, _ = step(autoencoder, variables, state, rng, y)
    assert loss_output.metrics["token_accuracy"].mean() > 0.95
    codes = np.asarray(encode(autoencoder, variables, y))
    assert len(np.unique(codes)) > 4 and len(np.unique(codes, axis=0)) == 8
    decoded = decode(autoencoder, variables, codes)
    assert np.mean(decoded == y) > 0.95


def test_residual_codes_are_a_stack():
    rvq = ResidualVectorQuantizer(num_codes=5, dim=3, depth=2, num_candidates=2)
    autoencoder = dataclasses.replace(VQ, bottleneck=rvq)
    y = sequences(autoencoder.input_space)
    assert autoencoder.output_space == Tokens(4, 5, 2)
    variables = jax.eval_shape(autoencoder.init, KEYS[0], y)
    codes = jax.eval_shape(autoencoder.encode, variables, y)
    assert codes.shape == (8, 4, 2)
    assert jax.eval_shape(autoencoder.decode, variables, codes).shape == y.shape


def test_bfloat16_leaves_losses_codebook_and_parameters_float32():
    networks = dataclasses.replace(NETWORKS, dtype="bfloat16")
    half = dataclasses.replace(VQ, networks=networks)
    y = sequences(half.input_space)
    variables = jax.eval_shape(half.init, KEYS[0], y)
    loss_output = jax.eval_shape(
        lambda variables: half.loss(variables, KEYS, y, True), variables
    )
    updated = jax.eval_shape(half.update, variables, KEYS[0], loss_output)
    leaves = jax.tree.leaves((variables, loss_output, updated))
    floats = {x.dtype for x in leaves if jnp.issubdtype(x.dtype, jnp.floating)}
    assert floats == {np.dtype(np.float32)}


def test_config_builds_either_decoder():
    section = {
        "name": "autoencoder",
        "networks": {"name": "latent_queries", "num_latents": 16},
        "bottleneck": {"name": "fsq", "levels": [8, 8, 8]},
        "losses": [{"name": "cross_entropy"}],
    }
    space = Tokens(48, 2000, padded=True)
    config = {
        "abstraction": section,
        "prior": {"name": "autoregressive", "conditioning": "cross"},
        "decoder": {"name": "inverse"},
    }
    arrows = join_arrows(config, "config", space, space, "the task")
    assert arrows.abstraction == Autoencoder(
        space,
        LatentQueriesNetworks(16),
        FiniteScalarQuantizer((8, 8, 8)),
        (CrossEntropy(),),
    )
    assert arrows.prior.target_space == Tokens(16, 512) and arrows.decoder is None
    config["decoder"] = {"name": "autoregressive"}
    decoder = join_arrows(config, "config", space, space, "the task").decoder
    assert isinstance(decoder, Autoregressive)
    assert decoder.source_space == Tokens(16, 512) and decoder.target_space == space


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_latents": 0}, "num_latents must be at least 1, not 0"),
        ({"num_heads": 3}, "num_heads 3 does not divide width 16"),
        ({"num_layers": 0}, "num_layers must be at least 1, not 0"),
        ({"mlp_ratio": 0.0}, "mlp_ratio must be above 0, not 0.0"),
        ({"dtype": "float16"}, "dtype must be 'float32' or 'bfloat16', not 'float16'"),
    ],
)
def test_option_out_of_range_raises_value_error(options, message):
    assert value_error(dataclasses.replace, NETWORKS, **options) == message


@pytest.mark.parametrize(
    ("space", "name"),
    [
        (Array((8, 8, 1)), "Array(8, 8, 1)"),
        (Category(3), "Category(3)"),
        (Tokens(4, 1), "Tokens(4 of 1)"),
    ],
)
def test_space_without_tokens_to_choose_from_raises_value_error(space, name):
    message = "networks 'latent_queries' need Tokens of two ids or more, not "
    assert value_error(dataclasses.replace, VQ, input_space=space) == message + name


def test_network_of_images_on_tokens_raises_user_error():
    with pytest.raises(UserError, match="'conv2d' need images, .*, not Tokens"):
        make_abstraction({"name": "autoencoder"}, "config.abstraction", VQ.input_space)
