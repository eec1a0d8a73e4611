import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.judges.sound_classifier import SoundClassifier, shift
from regen_jax.spaces import Array, Tokens

WORDS, WAVES = Tokens(2, 6), Array((4096,), -1.0, 1.0)
JUDGE = SoundClassifier(
    *(WORDS, WAVES, ((0, range(1, 4)), (1, range(4, 6))), 16_000, 8),
    names=("color", "shape"),
)


@pytest.fixture(scope="module")
def sounds():
    time = np.arange(4096) / 16_000
    pitches = np.array([200, 800, 3000])[np.arange(6) % 3]
    return np.sin(2 * np.pi * pitches[:, None] * time).astype(np.float32)


@pytest.fixture(scope="module")
def variables(sounds):
    return jax.jit(JUDGE.init)(jax.random.key(0), np.ones((6, 2), np.int32), sounds)


def test_words_are_predicted_within_their_ids(sounds, variables):
    words, features = JUDGE.predict(variables, sounds, batch_size=4)
    assert words.shape == (6, 2) and features.shape[0] == 6
    assert set(words[:, 0]) <= {1, 2, 3} and set(words[:, 1]) <= {4, 5}
    whole, _ = JUDGE.predict(variables, sounds)
    np.testing.assert_array_equal(words, whole)


def test_loss_is_the_sum_over_words_that_are_there(sounds, variables):
    keys = jax.random.split(jax.random.key(0), 6)
    loss = jax.jit(lambda x: JUDGE.loss(variables, keys, x, sounds, False).loss)
    both = np.tile(np.int32([2, 5]), (6, 1))
    first, second = both * [1, 0], both * [0, 1]
    np.testing.assert_allclose(loss(both), loss(first) + loss(second), rtol=1e-5)
    np.testing.assert_allclose(loss(0 * both), 0)
    # At the start the words are about equally likely.
    assert loss(first).mean() == pytest.approx(np.log(3), abs=0.5)


def test_accuracy_is_of_each_word_where_it_is_there(sounds, variables):
    keys = jax.random.split(jax.random.key(0), 6)
    x, _ = JUDGE.predict(variables, sounds)
    x[:2, 0] = x[:2, 0] % 3 + 1
    x[:3, 1] = 0

    def metrics(judge, x):
        loss = jax.jit(judge.loss, static_argnums=4)
        sums = loss(variables, keys, x, sounds, False).weighted_sums()
        return {k: float(v / n) for k, (v, n) in sums.items() if k != "loss"}

    values = metrics(JUDGE, x)
    expected = {"color_accuracy": 4 / 6, "shape_accuracy": 1}
    assert values == pytest.approx(expected, abs=1e-5)
    assert metrics(JUDGE, 0 * x) == {"color_accuracy": 0, "shape_accuracy": 0}
    alone = SoundClassifier(WORDS, WAVES, ((0, range(1, 6)),), 16_000, 8)
    assert metrics(alone, x).keys() == {"accuracy"}


@pytest.mark.parametrize("axis", [1, 2])
def test_shift_moves_each_example_along_one_axis(axis):
    images = jnp.arange(1.0, 33.0).reshape(1, 4, 8, 1) * jnp.ones((64, 1, 1, 1))
    keys = jax.random.split(jax.random.key(1), 64)
    moved = np.asarray(shift(keys, images, 2, axis))
    padded = np.pad(
        images[0],
        [(2, 2) if i == axis - 1 else (0, 0) for i in range(3)],
        constant_values=-1,
    )
    size = images.shape[axis]
    expected = [np.take(padded, range(s, s + size), axis - 1) for s in range(5)]
    drawn = [next(i for i, e in enumerate(expected) if (e == m).all()) for m in moved]
    assert set(drawn) == set(range(5))
