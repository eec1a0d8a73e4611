"""Key frames against NumPy."""

import jax
import numpy as np
import pytest

from regen_jax.abstractions.video.keyframes import Keyframes
from regen_jax.spaces import Array, check, zeros

SPACE = Array((8, 4, 6, 3), 0, 255, step=1)


def clips(count=2):
    rng = np.random.default_rng(0)
    return rng.uniform(0, 255, (count, *SPACE.shape)).astype(np.float32)


@pytest.mark.parametrize(
    "every, times", [(1, range(8)), (2, (1, 3, 5, 7)), (4, (2, 6))]
)
def test_key_frames_are_means_of_blocks_of_middle_frames(every, times):
    abstraction, y = Keyframes(SPACE, every, factor=2), clips()
    y_prime = check(abstraction.output_space, abstraction.encode({}, y), "Y′")
    chosen = y[:, list(times)]
    expected = np.mean(
        [chosen[:, :, i::2, j::2] for i in range(2) for j in range(2)], axis=0
    )
    np.testing.assert_allclose(y_prime, expected, rtol=1e-5)


def test_decoded_frames_are_interpolated_in_time():
    abstraction, y = Keyframes(SPACE, 4, factor=1), clips()
    decoded = np.asarray(abstraction.decode({}, abstraction.encode({}, y)))
    np.testing.assert_allclose(decoded[:, [2, 6]], y[:, [2, 6]], rtol=1e-5)
    np.testing.assert_allclose(
        decoded[:, 3], 0.75 * y[:, 2] + 0.25 * y[:, 6], rtol=1e-5
    )
    np.testing.assert_allclose(decoded[:, :2], y[:, [2, 2]], rtol=1e-5)
    np.testing.assert_allclose(decoded[:, 7], y[:, 6], rtol=1e-5)


def test_decoded_frames_have_key_frames_of_still_and_flat_clips():
    abstraction = Keyframes(SPACE, 2, factor=2)
    y = np.broadcast_to(np.float32([10, 200, 90]), (1, *SPACE.shape))
    decoded = abstraction.decode({}, abstraction.encode({}, y))
    np.testing.assert_allclose(decoded, y, rtol=1e-5)


def test_space_keeps_the_range_without_steps():
    space = Keyframes(SPACE, 4, factor=2).output_space
    assert space == Array((2, 2, 3, 3), 0, 255)
    shape = jax.eval_shape(lambda y: Keyframes(SPACE, 4).encode({}, y), zeros(SPACE, 1))
    assert shape.shape == (1, *space.shape)


def test_metrics_compare_key_frames_relative_to_the_range():
    abstraction, y = Keyframes(SPACE, 2, factor=2), clips()
    y_prime = np.asarray(abstraction.encode({}, y))
    assert abstraction.consistency_metrics({}, y, y_prime)["mse"] < 1e-9
    metrics = abstraction.code_metrics(y_prime, y_prime + 25.5)
    assert metrics["mse"] == pytest.approx(0.01)


@pytest.mark.parametrize(
    "space, options, words",
    [
        (SPACE, {"every": 3}, "every 3 does not divide the 8 frames"),
        (SPACE, {"factor": 4}, "factor 4 does not divide the grid"),
        (SPACE, {"every": 0}, "at least 1"),
        (Array((4, 6, 3), 0, 255), {}, "needs an Array of clips"),
        (Array((8, 4, 6, 3), padded=True), {}, "constant length"),
    ],
)
def test_unsuitable_options_raise_value_error(space, options, words):
    with pytest.raises(ValueError, match=words):
        Keyframes(space, **options)
