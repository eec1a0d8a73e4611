import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.abstractions.bottlenecks.fsq import FiniteScalarQuantizer
from regen_jax.abstractions.bottlenecks.rvq import ResidualVectorQuantizer
from regen_jax.abstractions.bottlenecks.vq import VectorQuantizer
from regen_jax.abstractions.text.token_autoencoder import TokenAutoencoder
from regen_jax.config.assembly import join_arrows, make_abstraction
from regen_jax.errors import UserError
from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.spaces import Array, Category, Tokens

SIZE = {"num_latents": 4, "width": 16, "num_layers": 1, "num_heads": 2}
VQ = TokenAutoencoder(
    Tokens(6, 8, padded=True), VectorQuantizer(codes=12, dim=4, candidates=2), **SIZE
)
FSQ = TokenAutoencoder(
    Tokens(5, 6, 2, padded=True), FiniteScalarQuantizer((5, 5)), **SIZE
)
KEYS = jax.random.split(jax.random.key(1), 8)
OPTIMIZER = optax.chain(optax.scale_by_sign(), optax.scale(-4e-3))

encode = jax.jit(TokenAutoencoder.encode, static_argnums=0)
decode = jax.jit(TokenAutoencoder.decode, static_argnums=0)


@jax.jit(static_argnums=0)
def step(autoencoder, variables, state, rng, y):
    """Variables and state of the optimizer after a step; its objective and gradients."""

    def mean(params):
        objective = autoencoder.loss({**variables, "params": params}, KEYS, y, True)
        return objective.loss.mean(), objective

    params = variables["params"]
    grads, objective = jax.grad(mean, has_aux=True)(params)
    updates, state = OPTIMIZER.update(grads, state)
    variables = {**variables, "params": optax.apply_updates(params, updates)}
    return autoencoder.update(variables, rng, objective), state, objective, grads


def sequences(space: Tokens) -> np.ndarray:
    """8 sequences, of which one is empty and one is as long as can be."""
    rng = np.random.default_rng(0)
    y = rng.integers(1, space.vocab, (8, *space.shape)).astype(np.int32)
    lengths = [0, space.length, *rng.integers(2, space.length + 1, 6)]
    for row, length in zip(y, lengths, strict=True):
        row[length:] = 0
    return y


def drawn(autoencoder: TokenAutoencoder, y: np.ndarray) -> dict:
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
        counts = jnp.ones(autoencoder.quantizer.vocab)
        codes = variables["codebook"]["codes"]
        variables["codebook"] |= {"counts": counts, "sums": codes}
    return variables


@pytest.fixture(scope="module", params=[VQ, FSQ], ids=["vq", "fsq"])
def model(request):
    y = sequences(request.param.input_space)
    variables = drawn(request.param, y)
    state = OPTIMIZER.init(variables["params"])
    taken = step(request.param, variables, state, KEYS[0], y)
    return request.param, variables, y, *taken[2:]


def test_codes_are_as_many_for_every_sequence(model):
    autoencoder, variables, y, objective, _ = model
    codes = np.asarray(encode(autoencoder, variables, y))
    assert autoencoder.output_space == Tokens(4, autoencoder.quantizer.vocab)
    assert codes.shape == (8, 4) and codes.dtype == np.int32
    counts = np.bincount(codes.ravel(), minlength=autoencoder.quantizer.vocab)
    np.testing.assert_array_equal(objective.sums["code_counts"], counts)


def test_the_way_back_gives_what_the_loss_saw(model):
    autoencoder, variables, y, objective, _ = model
    found = np.asarray(
        decode(autoencoder, variables, encode(autoencoder, variables, y))
    )
    assert found.shape == y.shape and found.dtype == np.int32
    ended = np.cumprod(found.reshape(*y.shape[:2], -1)[..., 0] > 0, axis=1) == 0
    assert np.all(found[ended] == 0) and np.all(found[~ended] > 0)
    same = np.all(found == y, axis=tuple(range(1, y.ndim)))
    metrics = objective.metrics
    np.testing.assert_array_equal(metrics["sequence_accuracy"], same)
    np.testing.assert_allclose(
        objective.loss,
        metrics["reconstruction_loss"] + metrics["quantizer_loss"],
        rtol=1e-5,
    )


def test_what_stands_behind_the_end_changes_nothing(model):
    autoencoder, variables, y, objective, grads = model
    behind = np.where(np.cumsum(y == 0, axis=1) > 1, 1, y)
    assert np.any(behind != y)
    state = OPTIMIZER.init(variables["params"])
    found = step(autoencoder, variables, state, KEYS[0], behind)[2:]
    jax.tree.map(np.testing.assert_array_equal, found, (objective, grads))


def test_gradient_reaches_all_parameters(model):
    *_, grads = model
    for path, grad in jax.tree_util.tree_leaves_with_path(grads):
        assert np.any(grad) and np.all(np.isfinite(grad)), path


def test_learns_a_few_sequences_by_heart(model):
    autoencoder, variables, y, *_ = model
    state = OPTIMIZER.init(variables["params"])
    for rng in jax.random.split(KEYS[0], 150):
        variables, state, objective, _ = step(autoencoder, variables, state, rng, y)
    assert objective.metrics["token_accuracy"].mean() > 0.95
    codes = np.asarray(encode(autoencoder, variables, y))
    assert len(np.unique(codes)) > 4 and len(np.unique(codes, axis=0)) == 8
    found = decode(autoencoder, variables, codes)
    assert np.mean(found == y) > 0.95


def test_a_stack_of_codes_stands_for_the_tokens_too():
    rvq = ResidualVectorQuantizer(codes=5, dim=3, depth=2, candidates=2)
    autoencoder = dataclasses.replace(VQ, quantizer=rvq)
    y = sequences(autoencoder.input_space)
    assert autoencoder.output_space == Tokens(4, 5, 2)
    variables = jax.eval_shape(autoencoder.init, KEYS[0], y)
    codes = jax.eval_shape(autoencoder.encode, variables, y)
    assert codes.shape == (8, 4, 2)
    assert jax.eval_shape(autoencoder.decode, variables, codes).shape == y.shape


def test_bfloat16_leaves_losses_codebook_and_parameters_float32():
    half = dataclasses.replace(VQ, dtype="bfloat16")
    y = sequences(half.input_space)
    variables = jax.eval_shape(half.init, KEYS[0], y)
    objective = jax.eval_shape(
        lambda variables: half.loss(variables, KEYS, y, True), variables
    )
    updated = jax.eval_shape(half.update, variables, KEYS[0], objective)
    leaves = jax.tree.leaves((variables, objective, updated))
    floats = {x.dtype for x in leaves if jnp.issubdtype(x.dtype, jnp.floating)}
    assert floats == {np.dtype(np.float32)}


def test_a_config_chooses_it_with_either_way_back():
    section = {
        "name": "token_autoencoder",
        "quantizer": {"name": "fsq", "levels": [8, 8, 8]},
        "num_latents": 16,
    }
    space = Tokens(48, 2000, padded=True)
    config = {
        "abstraction": section,
        "prior": {"name": "autoregressive", "conditioning": "cross"},
        "decoder": {"name": "inverse"},
    }
    arrows = join_arrows(config, "config", space, space, "the task")
    assert arrows.abstraction == TokenAutoencoder(
        space, FiniteScalarQuantizer((8, 8, 8)), 16
    )
    assert arrows.prior.target_space == Tokens(16, 512) and arrows.decoder is None
    config["decoder"] = {"name": "autoregressive"}
    decoder = join_arrows(config, "config", space, space, "the task").decoder
    assert isinstance(decoder, Autoregressive)
    assert decoder.source_space == Tokens(16, 512) and decoder.target_space == space


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (Array((8, 8, 1)), {}, "needs Tokens of two ids or more, not Array(8, 8, 1)"),
        (Category(3), {}, "needs Tokens of two ids or more, not Category(3)"),
        (Tokens(4, 1), {}, "needs Tokens of two ids or more, not Tokens(4 of 1)"),
        (VQ.input_space, {"num_latents": 0}, "num_latents must be at least 1, not 0"),
        (VQ.input_space, {"num_heads": 3}, "num_heads 3 does not divide width 128"),
        (
            VQ.input_space,
            {"num_layers": 0},
            "num_layers must be at least 1, not 0",
        ),
        (VQ.input_space, {"mlp_ratio": 0.0}, "mlp_ratio must be above 0, not 0.0"),
        (
            VQ.input_space,
            {"dtype": "float16"},
            "dtype must be 'float32' or 'bfloat16', not 'float16'",
        ),
    ],
)
def test_refuses(space, options, message):
    with pytest.raises(ValueError) as error:
        TokenAutoencoder(space, **options)
    assert str(error.value) == message


def test_the_autoencoder_of_images_refuses_tokens():
    with pytest.raises(UserError, match="needs images, .*, not Tokens"):
        make_abstraction({"name": "autoencoder"}, "config.abstraction", VQ.input_space)
