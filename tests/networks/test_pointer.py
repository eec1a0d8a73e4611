import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.networks.heads import Dense
from regen_jax.networks.pointer import Pointer
from regen_jax.spaces import Tokens

WIDTH, VOCAB = 4, 6


def test_pointer_mixes_copied_and_written_tokens_as_in_the_paper():
    rng = np.random.default_rng(0)
    x, memory = rng.normal(size=(2, 3, WIDTH)), rng.normal(size=(2, 5, WIDTH))
    table = jnp.zeros((VOCAB, WIDTH))
    a = np.array([[3, 1, 3, 2, 0], [5, 0, 0, 0, 0]])
    drop = jnp.array([False, True])
    pointer = Pointer(Tokens(5, VOCAB, padded=True), WIDTH, Dense(VOCAB))

    def both(pointer, memory, x):
        source = pointer.read_source(memory, jnp.asarray(a), drop)
        return pointer(x, table, source)

    arrays = [jnp.asarray(v, jnp.float32) for v in (memory, x)]
    init = pointer.init(jax.random.key(0), *arrays, method=both)
    variables = jax.tree.map(lambda p: rng.normal(size=p.shape), init)
    found = np.exp(pointer.apply(variables, *arrays, method=both))
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-5)

    weights = variables["params"]
    writer = weights["writer"]
    logits = x @ writer["kernel"] + writer["bias"]
    written = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    # The second example has nothing to copy.
    np.testing.assert_allclose(found[1], written[1], rtol=1e-5)
    before = np.concatenate([np.zeros((1, WIDTH)), memory[0, :-1]])
    keys = np.concatenate([memory[0], before], axis=1) @ weights["key"]["kernel"]
    keys += weights["key"]["bias"]
    queries = x[0] @ weights["query"]["kernel"] + weights["query"]["bias"]
    scores = np.exp(queries @ keys[:4].T / 2)
    attention = scores / scores.sum(axis=1, keepdims=True)
    gate = x[0] @ weights["gate"]["kernel"] + weights["gate"]["bias"]
    gate = 1 / (1 + np.exp(-gate))
    expected = gate * written[0]
    for position, token in enumerate(a[0, :4]):
        expected[:, token] += (1 - gate[:, 0]) * attention[:, position]
    np.testing.assert_allclose(found[0], expected, rtol=1e-4)
