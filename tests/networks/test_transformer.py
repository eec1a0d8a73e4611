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
    "prefix-class": (Category(3), Prefix(), {}),
    "prefix-stacks": (Tokens(2, 6, depth=2), Prefix(), {}),
    "prefix-array": (Array((2, 2, 3), 0.0, 9.0), Prefix(), {}),
    "prefix-rotary": (Tokens(3, 6), Prefix(), {"rotary": True}),
    "cross-class": (Category(3), CrossAttention(), {}),
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
B = jnp.asarray(RNG.integers(0, VOCAB, (3, LENGTH)))
DROP = jnp.array([False, True, False])


def values(space: Space) -> jax.Array:
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
    a = values(space)
    shapes = jax.eval_shape(network.init, jax.random.key(0), a, B, DROP)
    assert {x.dtype for x in jax.tree.leaves(shapes)} == {np.dtype(np.float32)}
    variables = jax.tree.map(
        lambda x: jnp.asarray(RNG.normal(0, 0.5, x.shape), jnp.float32), shapes
    )
    return network, variables, a


def test_a_logit_depends_on_the_tokens_before_it_and_on_all_of_the_source(model):
    network, variables, a = model

    def logits(shifts: dict[str, jax.Array]) -> jax.Array:
        """Logits [L, V] with the embeddings of source and tokens moved by `shifts`."""

        def move(call, args, kwargs, context):
            y = call(*args, **kwargs)
            name = "/".join(context.module.path)
            called = context.method_name == "__call__"
            return y + shifts[name] if called and name in shifts else y

        with nn.intercept_methods(move):
            return network.apply(variables, a[:1], B[:1], DROP[:1]).logits[0]

    length = source_length(network.source_space)
    jacobian = jax.jit(jax.jacrev(logits))(
        {
            "embed": jnp.zeros((LENGTH - 1, WIDTH)),
            "encoder/embed": jnp.zeros((length, WIDTH)),
        }
    )
    # How strongly each of L logits depends on each of the tokens, or of the source.
    reach = {name: np.abs(x).max(axis=(1, 3)) for name, x in jacobian.items()}
    before = np.arange(LENGTH)[:, None] > np.arange(LENGTH - 1)
    assert np.all(reach["embed"][before] > 1e-4)
    assert np.all(reach["embed"][~before] == 0)
    assert reach["encoder/embed"].shape == (LENGTH, length)
    assert np.all(reach["encoder/embed"] > 1e-4)


def test_cached_steps_give_the_logits_of_the_whole_pass(model):
    network, variables, a = model
    apply = functools.partial(network.apply, variables)

    @jax.jit
    def both(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
        def step(caches, index):
            logits, caches = apply(b[:, index], index, memory, caches, method="step")
            return caches, logits

        first, memory, caches = apply(a, DROP, method="prefill")
        _, logits = jax.lax.scan(step, caches, jnp.arange(LENGTH - 1))
        cached = jnp.concatenate([first[None], logits]).swapaxes(0, 1)
        return apply(a, b, DROP).logits, cached

    whole, cached = both(a, B)
    assert whole.shape == (3, LENGTH, VOCAB) and whole.dtype == np.float32
    np.testing.assert_allclose(cached, whole, rtol=1e-4, atol=1e-5)
    assert np.ptp(whole, axis=1).min() > 1e-3

    # The second example's source is dropped: it makes no difference.
    other, _ = both(jnp.roll(a, 1, axis=0), B)
    np.testing.assert_array_equal(other[1], whole[1])
    assert np.abs(other[::2] - whole[::2]).max() > 1e-3
