import itertools

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.generators.autoregressive.ctc import ctc_nats


def test_ctc_sums_over_all_alignments():
    logits = np.random.default_rng(4).normal(size=(5, 4, 3)).astype(np.float32)
    b = jnp.array([[1, 2, 0], [2, 2, 1], [0, 1, 1], [1, 1, 2], [1, 2, 1]])
    length, frames = np.array([2, 2, 0, 3, 3]), np.array([4, 3, 2, 4, 2])
    seen = jnp.arange(4) < frames[:, None]
    found = ctc_nats(jnp.asarray(logits), seen, b, jnp.asarray(length))
    log_probs = np.asarray(jax.nn.log_softmax(logits))
    for i in range(4):
        total, label = 0.0, list(b[i, : length[i]])
        for path in itertools.product(range(3), repeat=int(frames[i])):
            if [k for k, _ in itertools.groupby(path) if k] == label:
                total += np.exp(log_probs[i, np.arange(frames[i]), path].sum())
        np.testing.assert_allclose(found[i], -np.log(total), rtol=1e-5)
    # Three labels have no alignment with two vectors.
    assert found[4] == 0
