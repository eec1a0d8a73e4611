import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.generators.autoregressive.delay import undelay
from regen_jax.generators.sampling.logits import classifier_free_guidance
from regen_jax.spaces import Array, Padded, Tokens, lengths

TEXT, SPEECH = Tokens(4, 5, padded=True), Array((5, 2), padded=True)
WORD, STACK = Tokens(3, 3, padded=True), Tokens(2, 3, depth=2, padded=True)
READER = Autoregressive(TEXT, WORD, width=8, num_layers=1, num_heads=2, mlp_ratio=2.0)
LISTENER = dataclasses.replace(
    READER,
    source_space=SPEECH,
    conditioning="cross",
    encoder_layers=1,
    source_stride=2,
    ctc=0.3,
)
STACKER = dataclasses.replace(
    READER, source_space=SPEECH, target_space=STACK, encoder_layers=1
)
COPIER = dataclasses.replace(
    READER,
    source_space=Tokens(4, 3, padded=True),
    conditioning="cross",
    head="tied_pointer",
)
KEEPER = dataclasses.replace(
    READER, target_space=STACK, conditioning="aligned", encoder_layers=1
)
MODELS = {
    "reader": READER,
    "listener": LISTENER,
    "copier": COPIER,
    "keeper": KEEPER,
}
LENGTHS = np.array([4, 1, 2, 0, 3, 4])
NUMBER = len(LENGTHS)
KEYS = jax.random.split(jax.random.key(1), NUMBER)

loss = jax.jit(Autoregressive.loss, static_argnums=(0, 5))
log_prob = jax.jit(Autoregressive.log_prob, static_argnums=0)
sample = jax.jit(Autoregressive.sample, static_argnums=0)
alignment = jax.jit(Autoregressive.alignment, static_argnums=0)
init = jax.jit(Autoregressive.init, static_argnums=0)


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def model(request) -> Autoregressive:
    return request.param


@functools.lru_cache
def drawn(network, target) -> dict:
    """Variables drawn from NumPy, far from a uniform prediction."""
    models = (*MODELS.values(), STACKER)
    model = next(m for m in models if m.network == network)
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return jax.tree.map(
        lambda x: jnp.asarray(rng.normal(0, 0.5, x.shape), jnp.float32), shapes
    )


def variables_of(model: Autoregressive) -> dict:
    return drawn(model.network, model.target_space)


def source(model: Autoregressive, garbage: int = 0) -> jax.Array | Padded:
    """A batch of LENGTHS, with other values after the end for each `garbage`."""
    rng, other = np.random.default_rng(2), np.random.default_rng(garbage)
    inside = np.arange(model.source_space.shape[0]) < LENGTHS[:, None]
    if isinstance(model.source_space, Array):
        shape = (NUMBER, *model.source_space.shape)
        x, waste = rng.normal(size=shape), 50 * other.normal(size=shape)
        values = np.where(inside[..., None], x, waste if garbage else 0)
        return Padded(jnp.asarray(values, jnp.float32), jnp.asarray(LENGTHS))
    vocab = model.source_space.vocab
    x = rng.integers(1, vocab, inside.shape)
    waste = other.integers(1, vocab, inside.shape) if garbage else np.zeros_like(x)
    first = np.arange(model.source_space.shape[0]) == LENGTHS[:, None]
    return jnp.asarray(np.where(inside, x, np.where(first, 0, waste)))


def every(target: Tokens) -> jax.Array:
    """All values of a space."""
    stacks = list(itertools.product(range(1, target.vocab), repeat=target.depth))
    found = []
    for n in range(target.length + 1):
        for inside in itertools.product(stacks, repeat=n):
            found.append([*inside, *[(0,) * target.depth] * (target.length - n)])
    found = np.array(found)
    return jnp.asarray(found[..., 0] if target.depth == 1 else found)


def repeated(a: jax.Array | Padded, example: int, number: int) -> jax.Array | Padded:
    return jax.tree.map(lambda x: jnp.repeat(x[example : example + 1], number, 0), a)


def test_probabilities_of_all_targets_sum_to_one(model):
    b = every(model.target_space)
    assert len(b) == {1: 1 + 2 + 4 + 8, 2: 1 + 4 + 16}[model.target_space.depth]
    for example in range(3):
        a = repeated(source(model), example, len(b))
        p = np.exp(log_prob(model, variables_of(model), a, b))
        np.testing.assert_allclose(p.sum(), 1, rtol=1e-5)
    assert p.max() > 3 * p.min()


def test_probabilities_of_all_full_stacks_sum_to_one():
    target = Tokens(2, 2, depth=2)
    model = dataclasses.replace(
        STACKER, source_space=TEXT, target_space=target, encoder_layers=0
    )
    b = jnp.array(list(itertools.product(range(2), repeat=4))).reshape(-1, 2, 2)
    variables = init(model, jax.random.key(0))
    variables = jax.tree.map(lambda x: 20 * x, variables)
    a = repeated(source(model), 2, len(b))
    p = np.exp(log_prob(model, variables, a, b))
    np.testing.assert_allclose(p.sum(), 1, rtol=1e-5)
    drawn = sample(model, variables, jax.random.split(jax.random.key(0), len(b)), a)
    assert drawn.shape == b.shape and np.ptp(drawn) == 1 and drawn.max() == 1


def test_padding_never_changes_a_result(model):
    variables = variables_of(model)
    values = every(model.target_space)
    b = values[np.linspace(0, len(values) - 1, NUMBER).astype(int)]
    over = np.cumsum((b if b.ndim == 2 else b[..., 0]) == 0, axis=1) > 1
    other = np.random.default_rng(3).integers(0, 3, b.shape)
    garbage = jnp.where(over if b.ndim == 2 else over[..., None], other, b)

    @jax.jit
    def results(keys, a, b):
        objective = model.loss(variables, keys, a, b, False)
        looked = model.alignment(variables, a, b)
        return [objective.loss, objective.metrics, 0 if looked is None else looked]

    @jax.jit
    def likelihood_and_sample(keys, a, b):
        return model.log_prob(variables, a, b), model.sample(variables, keys, a)

    def same(found, expected):
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)

    a, wasted = source(model), source(model, garbage=1)
    jax.tree.map(same, results(KEYS, wasted, garbage), results(KEYS, a, b))
    found = likelihood_and_sample(KEYS, a, b)
    jax.tree.map(same, likelihood_and_sample(KEYS, wasted, garbage), found)
    one = jax.tree.map(lambda x: x[1:2], (KEYS, source(model, garbage=2), b))
    jax.tree.map(lambda x, y: same(x, y[1:2]), likelihood_and_sample(*one), found)


@pytest.mark.parametrize("model", [READER, LISTENER], ids=["reader", "listener"])
def test_a_padded_source_is_the_same_one_in_a_space_of_its_length(model):
    # The model with positions and source cut to 2 vectors is one for that length.
    cut = 2 if model is READER else 3
    model = dataclasses.replace(model, ctc=0.0, conditioning="cross")
    params = dict(init(model, jax.random.key(0))["params"])
    short = Tokens(cut, 5) if model.source_space == TEXT else Array((cut, 2))
    exact = dataclasses.replace(model, source_space=short)
    encoder = dict(params["source_encoder"])
    embed = dict(encoder["embed"])
    embed["positions"] = embed["positions"][:2]
    fewer = params | {"source_encoder": encoder | {"embed": embed}}
    b = every(WORD)[:6]
    if model.source_space == TEXT:
        a, padded = jnp.full((6, 2), 3), jnp.tile(jnp.array([3, 3, 0, 1]), (6, 1))
    else:
        values = jax.random.normal(KEYS[0], (6, 5, 2))
        a, padded = values[:, :3], Padded(values, jnp.full(6, 3))
    np.testing.assert_allclose(
        log_prob(model, {"params": params}, padded, b),
        log_prob(exact, {"params": fewer}, a, b),
        rtol=1e-5,
    )


@functools.partial(jax.jit, static_argnums=0)
def whole_pass(model, variables, a, b) -> jax.Array:
    """Guided logits [B, L, K, V] of b, by a pass over all of it."""

    def logits(drop):
        drop = jnp.full(len(b), drop)
        found = model.network.apply(variables, a, model._read(b), drop).logits
        return undelay(found) if model.target_space.depth > 1 else found[..., None, :]

    return classifier_free_guidance(logits(False), logits(True), model.guidance)


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_samples_are_those_of_whole_passes(model, guidance):
    model = dataclasses.replace(model, guidance=guidance, temperature=0.0)
    variables, a = variables_of(model), source(model)
    found = sample(model, variables, KEYS, a)
    b, length = (
        np.zeros((NUMBER, *model.target_space.shape), int),
        model.target_space.length,
    )
    levels = b.reshape(NUMBER, length, -1)
    for i in range(length):
        for level in range(model.target_space.depth):
            logits = np.array(whole_pass(model, variables, a, jnp.asarray(b)))
            logits[:, :, 1:, 0] = -np.inf
            alive = np.all(levels[:, :i, 0] != 0, axis=1) & (
                (level == 0) | (levels[:, i, 0] != 0)
            )
            levels[:, i, level] = np.where(alive, logits[:, i, level].argmax(-1), 0)
    np.testing.assert_array_equal(found, b)
    greedy = dataclasses.replace(model, temperature=1.0, top_k=2, beam_size=1)
    np.testing.assert_array_equal(sample(greedy, variables, KEYS, a), found)


def test_samples_end_once(model):
    keys = jax.random.split(jax.random.key(5), 64)
    a = repeated(source(model), 2, 64)
    b = np.asarray(sample(model, variables_of(model), keys, a))
    n = lengths(model.target_space, jnp.asarray(b))
    inside = np.arange(model.target_space.length) < n[:, None]
    inside = inside if b.ndim == 2 else np.stack([inside] * b.shape[2], axis=-1)
    np.testing.assert_array_equal(b != 0, inside)
    assert len(np.unique(n)) > 1 and b.max() < model.target_space.vocab


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_beam_that_holds_all_finds_the_best(guidance):
    model = dataclasses.replace(
        READER, guidance=guidance, beam_size=27, length_penalty=0.7
    )
    variables, a, b = variables_of(model), source(model), every(WORD)
    count = np.minimum(lengths(WORD, b) + 1, WORD.length)
    found = sample(model, variables, KEYS, a)
    for example in range(NUMBER):
        logits = whole_pass(model, variables, repeated(a, example, len(b)), b)
        steps = np.take_along_axis(jax.nn.log_softmax(logits), b[..., None, None], -1)
        counts = np.arange(WORD.length) < count[:, None]
        scores = np.where(counts, steps[..., 0, 0], 0).sum(axis=1)
        best = np.argmax(scores / ((5 + count) / 6) ** 0.7)
        np.testing.assert_array_equal(found[example], b[best])


def test_loss_counts_up_to_the_end():
    model = dataclasses.replace(LISTENER, ctc=0.0)
    variables = init(model, jax.random.key(0))
    b = jnp.array([[1, 2, 1], [1, 0, 0], [0, 0, 0], [2, 2, 0], [2, 0, 0], [1, 1, 2]])
    found = loss(model, variables, KEYS, source(model), b, False)
    logits = whole_pass(model, variables, source(model), b)[:, :, 0]
    log_probs = np.asarray(jax.nn.log_softmax(logits))
    for i, count in enumerate([3, 2, 1, 3, 2, 3]):
        chosen = log_probs[i, np.arange(count), b[i, :count]]
        np.testing.assert_allclose(found.loss[i], -chosen.mean(), rtol=1e-5)
        hits = log_probs[i, :count].argmax(-1) == b[i, :count]
        accuracy = found.metrics["token_accuracy"][i]
        np.testing.assert_allclose(accuracy, hits.mean(), rtol=1e-6)
        assert found.metrics["sequence_accuracy"][i] == hits.all()
    # Over the batch every token counts the same, as in its likelihood.
    sums = found.weighted_sums()
    nats = -log_prob(model, variables, source(model), b).sum()
    np.testing.assert_allclose(sums["loss"], [nats, 3 + 2 + 1 + 3 + 2 + 3], rtol=1e-5)
    assert sums["token_accuracy"][1] == 14 and sums["sequence_accuracy"][1] == 6


def test_ctc_is_a_share_of_the_loss_and_its_gradient_is_finite():
    b = jnp.array([[1, 2, 0], [1, 1, 1], [0, 0, 0], [2, 0, 0], [2, 0, 0], [1, 2, 0]])
    a = source(LISTENER)

    listener = dataclasses.replace(LISTENER, source_dropout=0.0)
    heavier = dataclasses.replace(listener, ctc=0.9)

    def mean(variables):
        found, other = (
            model.loss(variables, KEYS, a, b, True) for model in (listener, heavier)
        )
        return found.loss.mean(), (found, other)

    grad = jax.jit(jax.grad(mean, has_aux=True))
    grads, (found, other) = grad(variables_of(LISTENER))
    assert np.all(np.isfinite([np.abs(x).max() for x in jax.tree.leaves(grads)]))
    assert np.abs(grads["params"]["ctc_head"]["kernel"]).max() > 0
    ctc = found.metrics["ctc_loss"]
    # The second has one vector for three equal tokens.
    assert ctc[1] == 0 and np.all(np.delete(ctc, [1, 3]) > 0)
    nats = (found.loss - 0.3 * ctc) / 0.7
    np.testing.assert_allclose(other.loss, 0.1 * nats + 0.9 * ctc, rtol=1e-4)


def test_gradients_of_stacks_are_finite():
    b = every(STACK)[:NUMBER]

    def mean(variables):
        found = STACKER.loss(variables, KEYS, source(STACKER), b, True)
        return found.loss.mean()

    grads = jax.tree.leaves(jax.jit(jax.grad(mean))(variables_of(STACKER)))
    assert np.all(np.isfinite([np.abs(x).max() for x in grads]))
    assert np.max([np.abs(x).max() for x in grads]) > 0


def test_alignment_is_attention_over_what_counts():
    a, b = source(LISTENER), every(WORD)[:NUMBER]
    variables = variables_of(LISTENER)
    recomputed = dataclasses.replace(LISTENER, remat="full")
    found = alignment(LISTENER, variables, a, b)
    again = alignment(recomputed, variables, a, b)
    np.testing.assert_allclose(again, found, rtol=1e-5, atol=1e-6)
    assert found.shape == (NUMBER, 3, 3) and found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-5)
    beyond = np.arange(3) >= np.maximum(-(-LENGTHS // 2), 1)[:, None]
    assert np.all(np.moveaxis(np.asarray(found), 1, 2)[beyond] == 0)
    assert np.ptp(found[0]) > 0.01
    assert alignment(READER, variables_of(READER), source(READER), b) is None


def test_words_never_seen_are_copied():
    """Trained on the first half of a vocabulary, it repeats the other half."""
    space = Tokens(4, 40, padded=True)
    model = Autoregressive(
        space,
        space,
        width=32,
        num_layers=1,
        num_heads=2,
        conditioning="cross",
        head="pointer",
        source_dropout=0.0,
        beam_size=1,
    )
    rng = np.random.default_rng(0)
    seen = jnp.asarray(rng.integers(1, 20, (150, 32, 4)))
    optimizer = optax.adam(1e-2)

    @functools.partial(jax.jit, static_argnums=0)
    def train(model, variables):
        def step(carry, batch):
            variables, state = carry
            keys = jax.random.split(jax.random.key(0), len(batch))
            grads = jax.grad(
                lambda v: model.loss(v, keys, batch, batch, True).loss.mean()
            )(variables)
            updates, state = optimizer.update(grads, state)
            return (optax.apply_updates(variables, updates), state), None

        start = variables, optimizer.init(variables)
        return jax.lax.scan(step, start, seen)[0][0]

    variables = train(model, init(model, KEYS[0]))
    new = jnp.asarray(rng.integers(20, 40, (NUMBER, 4)))
    right = np.mean(sample(model, variables, KEYS, new) == new)
    plain = dataclasses.replace(model, head="dense")
    variables = train(plain, init(plain, KEYS[0]))
    assert right > 0.9
    assert np.mean(sample(plain, variables, KEYS, new) == new) < 0.1


@pytest.mark.parametrize(
    "change, words",
    [
        (
            {"head": "pointer"},
            "head 'pointer' needs padded source Tokens of the target's",
        ),
        (
            {"head": "tied"},
            "head 'tied' needs source Tokens of the target's vocabulary",
        ),
        ({"conditioning": "aligned"}, "has 4 positions for 3"),
        ({"conditioning": "none"}, "must be 'prefix', 'cross' or 'aligned'"),
    ],
)
def test_options_that_do_not_fit_raise_value_error(change, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(READER, **change)
