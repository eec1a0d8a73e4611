import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, log_softmax

from regen_jax.judges.digit_tracker import DigitTracker, top_parts
from regen_jax.modalities.video import captions
from regen_jax.modalities.video.captions import Part
from regen_jax.spaces import Array

JUDGE = DigitTracker(captions.SPACE, Array((4, 16, 16, 1), 0.0, 255.0, step=1.0), 4)
PARTS = [(Part(3, 0),), (Part(7, 8), Part(1, 5)), (Part(0, 9),)]


@pytest.fixture(scope="module")
def pairs():
    y = np.random.default_rng(0).integers(0, 256, (3, 4, 16, 16, 1)).astype(np.uint8)
    return np.stack([captions.encode(parts) for parts in PARTS]), y


@pytest.fixture(scope="module")
def variables(pairs):
    return jax.jit(JUDGE.init)(jax.random.key(0), *pairs)


def test_loss_is_cross_entropy_of_presence_and_of_motion(variables, pairs):
    x, y = pairs
    keys = jax.random.split(jax.random.key(1), 3)
    output = jax.jit(JUDGE.loss, static_argnums=4)(variables, keys, x, y, False)
    apply = jax.jit(JUDGE._network.apply)
    presence, motions, _ = apply(variables, JUDGE.clip_space.normalize(y))
    for i, parts in enumerate(PARTS):
        is_present = np.isin(np.arange(10), [part.digit for part in parts])
        likelihood = np.where(is_present, expit(presence[i]), expit(-presence[i]))
        nats = -np.log(likelihood).sum()
        log_probs = log_softmax(motions[i], axis=-1)
        nats -= np.mean([log_probs[part.digit, part.motion] for part in parts])
        np.testing.assert_allclose(output.loss[i], nats, rtol=1e-4)
        seen = [presence[i, part.digit] > 0 for part in parts]
        np.testing.assert_allclose(output.metrics["digit_accuracy"][i], np.mean(seen))
        right = [log_probs[part.digit].argmax() == part.motion for part in parts]
        np.testing.assert_allclose(output.metrics["motion_accuracy"][i], np.mean(right))


def test_predictions_of_batches_are_those_of_the_whole(variables, pairs):
    _, y = pairs
    whole, parts = JUDGE.predict(variables, y), JUDGE.predict(variables, y, 2)
    for first, second in zip(whole, parts, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)
    assert [output.shape for output in whole] == [(3, 10), (3, 10), (3, 36)]


def test_motion_is_read_from_the_track_whatever_the_digit(variables):
    """Of weights that see all digits alike, all have the same motion."""
    params = jax.tree.map(jnp.copy, variables)
    kernel = params["params"]["evidence"]["kernel"]
    params["params"]["evidence"]["kernel"] = jnp.tile(kernel[:, :1], (1, 10))
    y = np.random.default_rng(1).uniform(-1, 1, (2, 4, 16, 16, 1))
    _, motions, _ = jax.jit(JUDGE._network.apply)(params, y)
    np.testing.assert_allclose(motions, np.repeat(motions[:, :1], 10, 1), atol=1e-6)


def test_top_parts_are_the_most_present_digits():
    presence = np.array([[0.0] * 10, [0.0] * 10])
    presence[0, [4, 6]], presence[1, [9, 2]] = (3, 5), (-1, 1)
    motions = np.tile(np.arange(10), (2, 1)) % 4
    digits, moved = top_parts(presence, motions, np.array([2, 1]), 2)
    assert digits.tolist() == [[6, 4], [2, -1]]
    assert moved.tolist() == [[2, 0], [2, -1]]
