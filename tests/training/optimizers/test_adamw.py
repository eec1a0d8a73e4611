import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.training.optimizers.adamw import AdamW
from regen_jax.training.optimizers.groups import grouped


def test_update_is_adamw_on_clipped_gradients():
    optimizer = AdamW(clip_norm=2.0, beta1=0.8, beta2=0.95, decay=0.3)
    schedule = optax.cosine_decay_schedule(0.1, decay_steps=10)
    rng = np.random.default_rng(0)
    params = {"kernel": rng.normal(size=(3, 2)), "bias": rng.normal(size=3)}
    moments = {name: (0.0, 0.0) for name in params}
    transform = grouped(optimizer, schedule)
    actual = jax.tree.map(jnp.float32, params)
    state = transform.init(actual)
    for step in range(4):
        scale = 10.0 if step % 2 else 0.01
        grads = {k: scale * rng.normal(size=p.shape) for k, p in params.items()}
        updates, state = transform.update(
            jax.tree.map(jnp.float32, grads), state, actual
        )
        actual = jax.tree.map(jnp.add, actual, updates)

        norm = math.sqrt(sum(np.sum(g**2) for g in grads.values()))
        rate = 0.05 * (1 + math.cos(math.pi * step / 10))
        for name, grad in grads.items():
            grad = grad * min(1, 2.0 / norm)
            first, second = moments[name]
            first, second = 0.8 * first + 0.2 * grad, 0.95 * second + 0.05 * grad**2
            moments[name] = first, second
            size = np.sqrt(second / (1 - 0.95 ** (step + 1))) + 1e-8
            move = first / (1 - 0.8 ** (step + 1)) / size
            decay = 0.3 * params[name] if name == "kernel" else 0
            params[name] = params[name] - rate * (move + decay)
        for name, value in params.items():
            np.testing.assert_allclose(actual[name], value, rtol=1e-5)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"beta1": 1.5}, "beta1 must be in [0, 1), not 1.5"),
        ({"beta2": 1.0}, "beta2 must be in [0, 1), not 1.0"),
        ({"decay": -100.0}, "decay must be 0 or more, not -100.0"),
        ({"clip_norm": -1.0}, "clip_norm must be above 0, not -1.0"),
    ],
)
def test_options_out_of_range_raise_value_error(options, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        AdamW(**options)
