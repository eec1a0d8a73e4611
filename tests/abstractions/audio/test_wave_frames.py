import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.audio.wave_frames import WaveFrames
from regen_jax.spaces import Array, Padded, check


def test_decode_inverts_encode():
    wave = np.arange(12, dtype=np.float32).reshape(1, 12)
    frames = WaveFrames(Array((12,), -1.0, 20.0), size=4)
    cut = frames.encode({}, wave)
    np.testing.assert_array_equal(cut[0, 1], [4, 5, 6, 7])
    np.testing.assert_array_equal(frames.decode({}, cut), wave)


def test_last_frame_of_a_padded_wave_is_padded_with_zeros():
    frames = WaveFrames(Array((12,), -1.0, 20.0, padded=True), size=4)
    wave = Padded(jnp.ones((3, 12)), jnp.array([12, 5, 4]))
    cut = check(frames.output_space, frames.encode({}, wave), "frames")
    np.testing.assert_array_equal(cut.length, [3, 2, 1])
    np.testing.assert_array_equal(cut.values[1], [[1] * 4, [1, 0, 0, 0], [0] * 4])
    back = frames.decode({}, cut)
    np.testing.assert_array_equal(back.length, [12, 8, 4])
    np.testing.assert_array_equal(back.values.sum(axis=1), [12, 5, 4])


@pytest.mark.parametrize("shape, size", [((12, 1), 4), ((12,), 5), ((12,), 0)])
def test_space_without_whole_frames_raises_value_error(shape, size):
    with pytest.raises(ValueError, match=r"needs a wave|does not divide|size must"):
        WaveFrames(Array(shape, -1.0, 1.0), size)
