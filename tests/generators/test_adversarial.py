"""The vocoder: segments, padding, whose gradient is whose, what it learns."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.generators.adversarial import AdversarialVocoder
from regen_jax.losses.adversarial import Adversarial
from regen_jax.losses.spectral import Spectral, spectral_losses
from regen_jax.modalities.audio import segments
from regen_jax.modalities.audio.mel import log_mel
from regen_jax.networks.discriminators.spectrum import Spectrum
from regen_jax.spaces import Array, Padded, zeros
from tests.errors import value_error

FRAMES, HOP = 12, 32
MEL = Array((FRAMES, 8), -11.6, 2.5, padded=True)
WAVE = Array((FRAMES * HOP,), -1.0, 1.0, padded=True)
SPECTRAL = Spectral(resolutions=(64,))
ADVERSARY = Adversarial(0.5, start=2, discriminator=Spectrum((64,)))
TINY = {"losses": (SPECTRAL,), "width": 8, "num_layers": 1, "n_fft": 128}
WHOLE = AdversarialVocoder(MEL, WAVE, segment=0, **TINY)
SEGMENT = dataclasses.replace(WHOLE, segment=4)
ADVERSARIAL = dataclasses.replace(SEGMENT, losses=(SPECTRAL, ADVERSARY))
RNG = np.random.default_rng(0)
KEYS = jax.random.split(jax.random.key(5), 3)
LENGTH = np.array([12, 7, 2], np.int32)

loss = jax.jit(AdversarialVocoder.loss, static_argnums=(0, 5))
sample = jax.jit(AdversarialVocoder.sample, static_argnums=0)


def random_variables(model: AdversarialVocoder) -> dict:
    """Variables of every layer at random, quicker to make than a true start."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    variables = jax.tree.map(
        lambda p: rng.normal(0, 0.2, p.shape).astype(np.float32), shapes
    )
    if "progress" in variables:
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
def test_values_in_padding_change_nothing(garbage):
    variables = random_variables(WHOLE)

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
        output = loss(model, variables, KEYS, dirty_a, dirty_b, train)
        clean = loss(model, variables, KEYS, a, b, train)
        assert np.all(np.isfinite(output.loss))
        np.testing.assert_array_equal(output.loss, clean.loss)

    alone = loss(
        SEGMENT,
        variables,
        KEYS[1:2],
        *(Padded(*(x[1:2] for x in p)) for p in (a, b)),
        True,
    )
    np.testing.assert_allclose(alone.loss[0], output.loss[1], rtol=1e-5)


def test_loss_is_that_of_the_sampled_wave():
    variables, (a, b) = random_variables(WHOLE), pairs()
    loss_output = loss(WHOLE, variables, KEYS, a, b, True)
    wave = sample(WHOLE, variables, KEYS, a)
    assert np.abs(wave.values).max() < 1  # nothing was clipped
    terms = spectral_losses(wave.values, b.values, b.length, (64,), 16000)
    for name, value in terms.items():
        np.testing.assert_allclose(
            loss_output.metrics[f"{name}_loss"], value, rtol=1e-4
        )
    np.testing.assert_allclose(loss_output.loss, sum(terms.values()), rtol=1e-4)
    evaluated = loss(SEGMENT, variables, KEYS, a, b, False)
    np.testing.assert_allclose(evaluated.loss, loss_output.loss, rtol=1e-5)


def test_segments_of_source_and_target_are_the_same_and_within_the_length():
    frames = np.tile(np.arange(12.0, dtype=np.float32)[:, None], (400, 1, 8))
    length = np.full(400, 7)
    keys = jax.random.split(jax.random.key(0), 400)
    start = segments.starts(keys, length, 4)
    np.testing.assert_array_equal(np.unique(start), [0, 1, 2, 3])
    assert not np.any(segments.starts(keys, np.full(400, 2), 4))

    # A perfect vocoder of one segment has no loss: what it sees and hears agree.
    class EchoVocoder(AdversarialVocoder):
        @property
        def network(self):
            return Echo()

    class Echo:
        def apply(self, variables, frames, mask, envelope):
            # Each frame's first value, as `normalize` gives it, held for a hop.
            return jnp.repeat(frames[..., 0], HOP, axis=1)

    echo = EchoVocoder(
        **{f.name: getattr(SEGMENT, f.name) for f in dataclasses.fields(SEGMENT)}
    )
    held = np.repeat(np.asarray(MEL.normalize(frames))[..., 0], HOP, axis=1)
    a, b = Padded(frames, length), Padded(held, length * HOP)
    loss_output = jax.jit(
        lambda: echo.loss({"params": {"vocoder": {}}}, keys, a, b, True)
    )()
    np.testing.assert_allclose(loss_output.loss, 0, atol=1e-4)


def test_each_side_gets_the_gradient_of_its_own_loss_alone():
    variables, (a, b) = random_variables(ADVERSARIAL), pairs()
    names = ("generator_loss", "feature_loss", "discriminator_loss")

    @jax.jit
    def gradients(params, step):
        def terms(params):
            now = {**variables, "params": params, "progress": {"step": step}}
            output = ADVERSARIAL.loss(now, KEYS, a, b, True)
            m = output.metrics
            own = m["log_mel_loss"] + m["convergence_loss"]
            own += 0.5 * (m["generator_loss"] + m["feature_loss"])
            both = jnp.stack([own, m["discriminator_loss"]])
            return both.mean(axis=1), output

        means, pull, output = jax.vjp(terms, params, has_aux=True)
        return [pull(row)[0] for row in jnp.eye(2)], means, output

    (own, adversary), means, output = gradients(variables["params"], 2)
    assert all(np.any(np.asarray(output.metrics[name]) > 0) for name in names)
    # So that the gradient of the loss is the sum of the two.
    np.testing.assert_allclose(output.loss.mean(), means.sum(), rtol=1e-5)
    for tree in (own["losses"], adversary["vocoder"]):
        assert not any(np.any(x) for x in jax.tree.leaves(tree))
    for tree in (own["vocoder"], adversary["losses"]["adversarial"]):
        for path, gradient in jax.tree_util.tree_leaves_with_path(tree):
            assert np.any(gradient), path

    (_, early), _, output = gradients(variables["params"], 1)
    assert not any(np.any(output.metrics[name]) for name in names)
    assert not any(np.any(x) for x in jax.tree.leaves(early))
    updated = ADVERSARIAL.update(variables, jax.random.key(0), output)
    assert updated["progress"]["step"] == 1
    assert SEGMENT.update({"params": {}}, jax.random.key(0), output) == {"params": {}}


def test_training_learns_a_tone():
    time = np.arange(FRAMES * HOP) / 16000
    wave = 0.3 * np.sin(2 * np.pi * 1000 * time + RNG.uniform(0, 6, (4, 1)))
    mel = log_mel(jnp.asarray(wave), 16000, 128, HOP, 8)
    space = Array(WAVE.shape, -1.0, 1.0)
    model = AdversarialVocoder(
        Array(MEL.shape, MEL.low, MEL.high), space, segment=8, **TINY
    )
    keys = jax.random.split(jax.random.key(0), 4)
    optimizer = optax.adam(1e-2)

    def step(carry, _):
        params, state = carry
        output, gradients = jax.value_and_grad(
            lambda p: model.loss({"params": p}, keys, mel, wave, True).loss.mean()
        )(params)
        updates, state = optimizer.update(gradients, state)
        return (optax.apply_updates(params, updates), state), output

    @jax.jit
    def train(params):
        return jax.lax.scan(step, (params, optimizer.init(params)), None, length=80)

    (params, _), losses = train(random_variables(model)["params"])
    assert losses[-1] < 0.25 * losses[0]
    y = sample(model, {"params": params}, keys, mel)
    assert y.shape == wave.shape
    heard = np.abs(np.fft.rfft(y[0])).argmax() * 16000 / y.shape[1]
    assert abs(heard - 1000) < 50


@pytest.mark.parametrize("padded", [(True, False), (False, True)])
def test_samples_and_losses_fit_the_spaces(padded):
    mel, wave = (
        dataclasses.replace(space, padded=p)
        for space, p in zip((MEL, WAVE), padded, strict=True)
    )
    model = dataclasses.replace(
        ADVERSARIAL,
        source_space=mel,
        target_space=wave,
        losses=(SPECTRAL, dataclasses.replace(ADVERSARY, start=0)),
        dtype="bfloat16",
    )
    variables = jax.eval_shape(model.init, jax.random.key(0))
    assert {x.dtype for x in jax.tree.leaves(variables["params"])} == {
        np.dtype(np.float32)
    }
    a, b = zeros(mel, 3), zeros(wave, 3)
    loss_output = jax.eval_shape(lambda v: model.loss(v, KEYS, a, b, True), variables)
    assert (loss_output.loss.shape, loss_output.loss.dtype) == ((3,), jnp.float32)
    y = jax.eval_shape(lambda v: model.sample(v, KEYS, a), variables)
    assert jax.tree.structure(y) == jax.tree.structure(b)
    assert jax.tree.map(lambda x: x.shape, y) == jax.tree.map(lambda x: x.shape, b)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"target_space": Array((100,))},
            (
                "needs a whole number of samples per frame: 12 frames of Array(12, 8, "
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
                "n_fft must be even and a multiple of the samples per frame, 3 times them "
                "or more, not 64 with 32"
            ),
        ),
        (
            {"segment": 13},
            "segment must be at most the 12 frames of Array(12, 8, padded), not 13",
        ),
        ({"num_layers": 0}, "num_layers must be at least 1, not 0"),
        (
            {"losses": (SPECTRAL, SPECTRAL)},
            "losses must differ, but 'spectral' is there twice",
        ),
        (
            {"dtype": "float16"},
            "dtype must be 'float32' or 'bfloat16', not 'float16'",
        ),
    ],
)
def test_option_that_does_not_fit_raises_value_error(options, message):
    assert value_error(dataclasses.replace, WHOLE, **options) == message
