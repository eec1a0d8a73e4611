import jax.numpy as jnp
import numpy as np

from regen_jax.generators.autoregressive.delay import delay, undelay


def test_delay_moves_level_k_by_k_steps():
    tokens = jnp.array([[[1, 2, 3], [4, 5, 6]]])
    expected = [[[1, 9, 9], [4, 2, 9], [9, 5, 3], [9, 9, 6]]]
    np.testing.assert_array_equal(delay(tokens, 9), expected)


def test_undelay_inverts_delay_with_any_further_axes():
    rng = np.random.default_rng(0)
    for shape in [(2, 5, 1), (2, 3, 4), (2, 1, 3), (2, 3, 2, 6)]:
        x = rng.normal(size=shape).astype(np.float32)
        late = delay(jnp.asarray(x), 0)
        assert late.shape == (2, shape[1] + shape[2] - 1, *shape[2:])
        np.testing.assert_array_equal(undelay(late), x)
