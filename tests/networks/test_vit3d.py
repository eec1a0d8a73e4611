import jax.numpy as jnp
import numpy as np

from regen_jax.networks.vit3d import over_time


def test_over_time_applies_to_the_frames_at_each_position():
    clips = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    sums = over_time(lambda x: jnp.cumsum(x, axis=1), clips.reshape(2, 12, 5), 3)
    expected = np.cumsum(clips, axis=1)
    np.testing.assert_allclose(sums.reshape(clips.shape), expected, atol=1e-6)
