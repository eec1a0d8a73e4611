"""The vocoder: segments, padding, whose gradient is whose, what it learns."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.generators.adversarial import Vocoder
from regen_jax.losses.spectral import spectral_losses
from regen_jax.modalities.audio import segments
from regen_jax.modalities.audio.mel import log_mel
from regen_jax.spaces import Array, Padded, zeros

FRAMES, HOP = 12, 32
MEL = Array((FRAMES, 8), -11.6, 2.5, padded=True)
WAVE = Array((FRAMES * HOP,), -1.0, 1.0, padded=True)
TINY = {"width": 8, "num_layers": 1, "n_fft": 128, "resolutions": (64,)}
WHOLE = Vocoder(MEL, WAVE, segment=0, **TINY)
SEGMENT = dataclasses.replace(WHOLE, segment=4)
ADVERSARIAL = dataclasses.replace(SEGMENT, adversarial=0.5, adversarial_start=2)
RNG = np.random.default_rng(0)
KEYS = jax.random.split(jax.random.key(5), 3)
LENGTH = np.array([12, 7, 2], np.int32)

loss = jax.jit(Vocoder.loss, static_argnums=(0, 5))
sample = jax.jit(Vocoder.sample, static_argnums=0)


def drawn(model: Vocoder) -> dict:
    """Variables of every layer at random, quicker to make than a true start."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    variables = jax.tree.map(
        lambda p: rng.normal(0, 0.2, p.shape).astype(np.float32), shapes
    )
    if model.adversarial:
        variables["progress"] = {"step": jnp.zeros((), jnp.int32)}
    return variables


def pairs(garbage: float = 0.0) -> tuple[Padded, Padded]:
    """Three utterances of LENGTH frames; the waves end within the last frame."""
    rng = np.random.default_rng(2)
    mel = rng.normal(-9, 1, (3, *MEL.shape)).astype(np.float32)
    wave = rng.normal(0, 0.2, (3, *WAVE.shape)).astype(np.float32)
    samples = LENGTH * HOP - np.array([0, 5, 0], np.int32)
    for i in range(3):
        mel[i, LENGTH[i] :] = wave[i, samples[i] :] = garbage
    return Padded(mel, LENGTH), Padded(wave, samples)


@pytest.mark.parametrize("garbage", [3.0, np.nan])
def test_what_lies_beyond_the_length_changes_nothing(garbage):
    variables = drawn(WHOLE)

    @jax.jit
    @jax.grad
    def gradient(params, a, b):
        return SEGMENT.loss({"params": params}, KEYS, a, b, True).loss.mean()

    (a, b), (dirty_a, dirty_b) = pairs(), pairs(garbage)
    wave = sample(WHOLE, variables, KEYS, dirty_a)
    assert isinstance(wave, Padded)
    np.testing.assert_array_equal(wave.length, LENGTH * HOP)
    np.testing.assert_array_equal(wave.values, sample(WHOLE, variables, KEYS, a).values)
    for values, end in zip(wave.values, LENGTH * HOP, strict=True):
        assert np.any(values[:end]) and not np.any(values[end:])
    for name, x in gradient(variables["params"], dirty_a, dirty_b).items():
        assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(x)), name
    for model, train in ((WHOLE, False), (SEGMENT, True)):
        found = loss(model, variables, KEYS, dirty_a, dirty_b, train)
        clean = loss(model, variables, KEYS, a, b, train)
        assert np.all(np.isfinite(found.loss))
        np.testing.assert_array_equal(found.loss, clean.loss)

    alone = loss(
        SEGMENT,
        variables,
        KEYS[1:2],
        *(Padded(*(x[1:2] for x in p)) for p in (a, b)),
        True,
    )
    np.testing.assert_allclose(alone.loss[0], found.loss[1], rtol=1e-5)


def test_loss_is_of_the_wave_that_sampling_gives():
    variables, (a, b) = drawn(WHOLE), pairs()
    objective = loss(WHOLE, variables, KEYS, a, b, True)
    wave = sample(WHOLE, variables, KEYS, a)
    assert np.abs(wave.values).max() < 1  # nothing was clipped
    terms = spectral_losses(wave.values, b.values, b.length, (64,), 16000)
    for name, value in terms.items():
        np.testing.assert_allclose(objective.metrics[f"{name}_loss"], value, rtol=1e-4)
    np.testing.assert_allclose(objective.loss, sum(terms.values()), rtol=1e-4)
    evaluated = loss(SEGMENT, variables, KEYS, a, b, False)
    np.testing.assert_allclose(evaluated.loss, objective.loss, rtol=1e-5)


def test_a_segment_is_of_the_same_frames_of_both_and_within_the_length():
    frames = np.tile(np.arange(12.0, dtype=np.float32)[:, None], (400, 1, 8))
    length = np.full(400, 7)
    keys = jax.random.split(jax.random.key(0), 400)
    start = segments.starts(keys, length, 4)
    np.testing.assert_array_equal(np.unique(start), [0, 1, 2, 3])
    assert not np.any(segments.starts(keys, np.full(400, 2), 4))

    # A perfect vocoder of one segment has no loss: what it sees and hears agree.
    class Told(Vocoder):
        @property
        def network(self):
            return Echo()

    class Echo:
        def apply(self, variables, frames, mask, envelope):
            # Each frame's first value, as `normalize` gives it, held for a hop.
            return jnp.repeat(frames[..., 0], HOP, axis=1)

    told = Told(
        **{f.name: getattr(SEGMENT, f.name) for f in dataclasses.fields(SEGMENT)}
    )
    held = np.repeat(np.asarray(MEL.normalize(frames))[..., 0], HOP, axis=1)
    a, b = Padded(frames, length), Padded(held, length * HOP)
    objective = jax.jit(
        lambda: told.loss({"params": {"vocoder": {}}}, keys, a, b, True)
    )()
    np.testing.assert_allclose(objective.loss, 0, atol=1e-4)


def test_each_network_gets_the_gradient_of_its_own_losses():
    variables, (a, b) = drawn(ADVERSARIAL), pairs()
    names = ("generator_loss", "feature_loss", "discriminator_loss")

    @jax.jit
    def gradients(params, step):
        def terms(params):
            now = {**variables, "params": params, "progress": {"step": step}}
            found = ADVERSARIAL.loss(now, KEYS, a, b, True)
            m = found.metrics
            own = m["log_mel_loss"] + m["convergence_loss"]
            own += 0.5 * (m["generator_loss"] + m["feature_loss"])
            both = jnp.stack([own, m["discriminator_loss"]])
            return both.mean(axis=1), found

        means, pull, found = jax.vjp(terms, params, has_aux=True)
        return [pull(row)[0] for row in jnp.eye(2)], means, found

    (own, sample_metrics), means, found = gradients(variables["params"], 2)
    assert all(np.any(np.asarray(found.metrics[name]) > 0) for name in names)
    # So that the gradient of the loss is the sum of the two.
    np.testing.assert_allclose(found.loss.mean(), means.sum(), rtol=1e-5)
    for name, tree in (("discriminators", own), ("vocoder", sample_metrics)):
        assert not any(np.any(x) for x in jax.tree.leaves(tree[name]))
    for tree in (own["vocoder"], sample_metrics["discriminators"]):
        for path, gradient in jax.tree_util.tree_leaves_with_path(tree):
            assert np.any(gradient), path

    (_, early), _, found = gradients(variables["params"], 1)
    assert not any(np.any(found.metrics[name]) for name in names)
    assert not any(np.any(x) for x in jax.tree.leaves(early))
    updated = ADVERSARIAL.update(variables, jax.random.key(0), found)
    assert updated["progress"]["step"] == 1
    assert SEGMENT.update({"params": {}}, jax.random.key(0), found) == {"params": {}}


def test_learns_a_tone():
    time = np.arange(FRAMES * HOP) / 16000
    wave = 0.3 * np.sin(2 * np.pi * 1000 * time + RNG.uniform(0, 6, (4, 1)))
    mel = log_mel(jnp.asarray(wave), 16000, 128, HOP, 8)
    space = Array(WAVE.shape, -1.0, 1.0)
    model = Vocoder(Array(MEL.shape, MEL.low, MEL.high), space, segment=8, **TINY)
    keys = jax.random.split(jax.random.key(0), 4)
    optimizer = optax.adam(1e-2)

    def step(carry, _):
        params, state = carry
        found, gradients = jax.value_and_grad(
            lambda p: model.loss({"params": p}, keys, mel, wave, True).loss.mean()
        )(params)
        updates, state = optimizer.update(gradients, state)
        return (optax.apply_updates(params, updates), state), found

    @jax.jit
    def train(params):
        return jax.lax.scan(step, (params, optimizer.init(params)), None, length=80)

    (params, _), losses = train(drawn(model)["params"])
    assert losses[-1] < 0.25 * losses[0]
    y = sample(model, {"params": params}, keys, mel)
    assert y.shape == wave.shape
    heard = np.abs(np.fft.rfft(y[0])).argmax() * 16000 / y.shape[1]
    assert abs(heard - 1000) < 50


@pytest.mark.parametrize("padded", [(True, False), (False, True)])
def test_start_and_result_are_of_the_spaces(padded):
    mel, wave = (
        dataclasses.replace(space, padded=p)
        for space, p in zip((MEL, WAVE), padded, strict=True)
    )
    model = dataclasses.replace(
        ADVERSARIAL,
        source_space=mel,
        target_space=wave,
        dtype="bfloat16",
        adversarial_start=0,
    )
    variables = jax.eval_shape(model.init, jax.random.key(0))
    assert {x.dtype for x in jax.tree.leaves(variables["params"])} == {
        np.dtype(np.float32)
    }
    a, b = zeros(mel, 3), zeros(wave, 3)
    objective = jax.eval_shape(lambda v: model.loss(v, KEYS, a, b, True), variables)
    assert (objective.loss.shape, objective.loss.dtype) == ((3,), jnp.float32)
    y = jax.eval_shape(lambda v: model.sample(v, KEYS, a), variables)
    assert jax.tree.structure(y) == jax.tree.structure(b)
    assert jax.tree.map(lambda x: x.shape, y) == jax.tree.map(lambda x: x.shape, b)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"target_space": Array((100,))},
            (
                "needs a whole number of samples a frame: 12 frames of Array(12, 8, "
                "padded) do not divide the 100 samples of Array(100)"
            ),
        ),
        (
            {"source_space": Array((12,))},
            "needs a source of frames and bands, not Array(12)",
        ),
        (
            {"target_space": Array((12, 3))},
            "needs a target of samples, not Array(12, 3)",
        ),
        (
            {"n_fft": 64},
            (
                "n_fft must be even and a multiple of the samples a frame, 3 times them "
                "or more, not 64 with 32"
            ),
        ),
        (
            {"segment": 13},
            "segment must be at most the 12 frames of Array(12, 8, padded), not 13",
        ),
        ({"num_layers": 0}, "num_layers must be at least 1, not 0"),
        ({"resolutions": (64, 0)}, "resolutions[1] must be at least 1, not 0"),
        ({"adversarial": -1.0}, "adversarial must be 0 or more, not -1.0"),
        (
            {"dtype": "float16"},
            "dtype must be 'float32' or 'bfloat16', not 'float16'",
        ),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError) as error:
        dataclasses.replace(WHOLE, **options)
    assert str(error.value) == message
