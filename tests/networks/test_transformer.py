import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.networks.decoder_conditioning import Aligned, CrossAttention, Prefix
from regen_jax.networks.embeddings import source_length
from regen_jax.networks.heads import Dense
from regen_jax.networks.pointer import Pointer
from regen_jax.networks.transformer import Transformer
from regen_jax.spaces import Array, Category, Space, Tokens

LENGTH, VOCAB, WIDTH = 4, 5, 8
TEXT = Tokens(3, VOCAB)
MODELS = {
    "prefix-class": (Category(3), Prefix(), {"rotary": True}),
    "prefix-stacks": (Tokens(2, 6, depth=2), Prefix(), {}),
    "prefix-array": (Array((2, 2, 3), 0.0, 9.0), Prefix(), {}),
    "cross-tokens": (Tokens(3, 6), CrossAttention(), {}),
    "cross-pointer": (
        TEXT,
        CrossAttention(),
        {"head": Pointer(TEXT, WIDTH, Dense(VOCAB))},
    ),
    "aligned-tokens": (Tokens(2, 6), Aligned(LENGTH), {"encoder_layers": 1}),
    "aligned-array": (Array((8, 3), 0.0, 9.0), Aligned(LENGTH), {"encoder_layers": 1}),
}
RNG = np.random.default_rng(0)
TARGET = jnp.asarray(RNG.integers(0, VOCAB, (3, LENGTH)))
DROP = jnp.array([False, True, False])


def random_source(space: Space) -> jax.Array:
    """A batch of 3 from the space."""
    shape = (3, *space.shape)
    if isinstance(space, Array):
        return jnp.asarray(RNG.uniform(space.low, space.high, shape), jnp.float32)
    size = space.size if isinstance(space, Category) else space.vocab
    return jnp.asarray(RNG.integers(0, size, shape))


@pytest.fixture(scope="module", params=MODELS.values(), ids=MODELS)
def model(request):
    """A network, variables drawn from NumPy, and a source."""
    space, conditioning, options = request.param
    network = Transformer(
        space,
        LENGTH,
        VOCAB,
        WIDTH,
        num_layers=2,
        num_heads=2,
        conditioning=conditioning,
        mlp_ratio=2.0,
        **{"head": Dense(VOCAB)} | options,
    )
    source = random_source(space)
    shapes = jax.eval_shape(network.init, jax.random.key(0), source, TARGET, DROP)
    assert {x.dtype for x in jax.tree.leaves(shapes)} == {np.dtype(np.float32)}
    variables = jax.tree.map(
        lambda x: jnp.asarray(RNG.normal(0, 0.5, x.shape), jnp.float32), shapes
    )
    return network, variables, source


def test_logits_depend_on_earlier_tokens_and_all_of_source(model):
    network, variables, source = model

    def logits(shifts: dict[str, jax.Array]) -> jax.Array:
        """Logits [L, V] with `shifts` added to the outputs of modules, by path."""

        def shift(call, args, kwargs, context):
            y = call(*args, **kwargs)
            name = "/".join(context.module.path)
            called = context.method_name == "__call__"
            return y + shifts[name] if called and name in shifts else y

        with nn.intercept_methods(shift):
            predictions = network.apply(variables, source[:1], TARGET[:1], DROP[:1])
        return predictions.logits[0]

    length = source_length(network.source_space)
    jacobian = jax.jit(jax.jacrev(logits))(
        {
            "embed": jnp.zeros((LENGTH - 1, WIDTH)),
            "source_encoder/embed": jnp.zeros((length, WIDTH)),
        }
    )
    # How strongly each of L logits depends on each of the tokens, or of the source.
    strength = {name: np.abs(x).max(axis=(1, 3)) for name, x in jacobian.items()}
    before = np.arange(LENGTH)[:, None] > np.arange(LENGTH - 1)
    assert np.all(strength["embed"][before] > 1e-4)
    assert np.all(strength["embed"][~before] == 0)
    assert strength["source_encoder/embed"].shape == (LENGTH, length)
    assert np.all(strength["source_encoder/embed"] > 1e-4)


def test_cached_decoding_equals_full_forward(model):
    network, variables, source = model
    apply = functools.partial(network.apply, variables)

    @jax.jit
    def both(source: jax.Array) -> tuple[jax.Array, jax.Array]:
        def step(caches, index):
            logits, caches = apply(
                TARGET[:, index], index, state, caches, unstacked, method="step"
            )
            return caches, logits

        unstacked = apply(method="unstack")
        first, state, caches = apply(source, DROP, method="prefill")
        _, logits = jax.lax.scan(step, caches, jnp.arange(LENGTH - 1))
        cached = jnp.concatenate([first[None], logits]).swapaxes(0, 1)
        return apply(source, TARGET, DROP).logits, cached

    full, cached = both(source)
    assert full.shape == (3, LENGTH, VOCAB) and full.dtype == np.float32
    np.testing.assert_allclose(cached, full, rtol=1e-4, atol=1e-5)
    assert np.ptp(full, axis=1).min() > 1e-3

    # The second example's source is dropped: it makes no difference.
    other, _ = both(jnp.roll(source, 1, axis=0))
    np.testing.assert_array_equal(other[1], full[1])
    assert np.abs(other[::2] - full[::2]).max() > 1e-3


@pytest.mark.parametrize(
    "conditioning", [Prefix(), CrossAttention(), Aligned(LENGTH)], ids=str
)
def test_logits_of_bidirectional_network_depend_on_all_tokens(conditioning):
    network = Transformer(
        Tokens(2, 6),
        LENGTH,
        VOCAB,
        WIDTH,
        num_layers=1,
        num_heads=2,
        conditioning=conditioning,
        head=Dense(VOCAB),
        mlp_ratio=2.0,
        causal=False,
    )
    source, masked = random_source(network.source_space), TARGET.at[:, 1].set(VOCAB)
    shapes = jax.eval_shape(network.init, jax.random.key(0), source, TARGET, DROP)
    variables = jax.tree.map(
        lambda x: jnp.asarray(RNG.normal(0, 0.5, x.shape), jnp.float32), shapes
    )
    changed = jnp.stack(
        [masked.at[:, i].set((masked[:, i] + 1) % VOCAB) for i in range(LENGTH)]
    )

    @jax.jit
    def logits(targets: jax.Array) -> jax.Array:
        apply = functools.partial(network.apply, variables)
        return jax.vmap(lambda target: apply(source, target, DROP).logits)(targets)

    original, *others = logits(jnp.concatenate([masked[None], changed]))
    assert original.shape == (3, LENGTH, VOCAB)
    # Each changed token, of four, moves the logits of all positions.
    assert np.abs(np.stack(others) - original).max(axis=-1).min() > 1e-4


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "bidirectional"])
def test_aligned_source_enters_where_its_token_is_predicted(causal):
    network = Transformer(
        Array((LENGTH, 2), 0.0, 1.0),
        LENGTH,
        VOCAB,
        WIDTH,
        num_layers=0,
        num_heads=2,
        conditioning=Aligned(LENGTH),
        head=Dense(VOCAB),
        causal=causal,
    )
    source = random_source(network.source_space)
    variables = jax.tree.map(
        lambda x: jnp.asarray(RNG.normal(0, 0.5, x.shape), jnp.float32),
        jax.eval_shape(network.init, jax.random.key(0), source, TARGET, DROP),
    )

    @jax.jit
    @jax.jacrev
    def jacobian(source: jax.Array) -> jax.Array:
        return network.apply(variables, source, TARGET[:1], DROP[:1]).logits[0]

    strength = np.abs(jacobian(source[:1])).max(axis=(1, 2, 4))
    np.testing.assert_array_equal(strength > 1e-4, np.eye(LENGTH, dtype=bool))
