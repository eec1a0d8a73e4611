"""Models of padded sources and targets, and batches for them, that tests share."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.spaces import Array, Padded, Tokens

TEXT, SPEECH = Tokens(4, 5, padded=True), Array((5, 2), padded=True)
WORD, STACK = Tokens(3, 3, padded=True), Tokens(2, 3, depth=2, padded=True)
SIZE = {"width": 8, "num_layers": 1, "num_heads": 2, "mlp_ratio": 2.0}

PREFIX = Autoregressive(TEXT, WORD, **SIZE)
CTC = Autoregressive(
    SPEECH,
    WORD,
    conditioning="cross",
    encoder_layers=1,
    source_stride=2,
    ctc=0.3,
    **SIZE,
)
POINTER = Autoregressive(
    Tokens(4, 3, padded=True), WORD, conditioning="cross", head="tied_pointer", **SIZE
)
ALIGNED = Autoregressive(TEXT, STACK, conditioning="aligned", encoder_layers=1, **SIZE)
GUIDED = {"guidance": 2.0}
MODELS = {
    "prefix": PREFIX,
    "ctc": dataclasses.replace(CTC, **GUIDED),
    "pointer": dataclasses.replace(POINTER, **GUIDED),
    "aligned": ALIGNED,
}

LENGTHS = np.tile([4, 1, 2, 0, 3, 4], 8)
BATCH = len(LENGTHS)
"""All batches have this size, so that each method of a model is compiled once."""
KEYS = jax.random.split(jax.random.key(1), BATCH)


def random_source(model: Autoregressive, garbage: int = 0) -> jax.Array | Padded:
    """A batch of LENGTHS, with other values after the end for each `garbage`."""
    rng, other = np.random.default_rng(2), np.random.default_rng(garbage)
    shape = (BATCH, *model.source_space.shape)
    inside = np.arange(shape[1]) < LENGTHS[:, None]
    if isinstance(model.source_space, Array):
        values, waste = rng.normal(size=shape), 50 * other.normal(size=shape)
        values = np.where(inside[..., None], values, waste if garbage else 0)
        return Padded(jnp.asarray(values, jnp.float32), jnp.asarray(LENGTHS))
    tokens = rng.integers(1, model.source_space.vocab, shape)
    waste = other.integers(1, model.source_space.vocab, shape) if garbage else 0
    first = np.arange(shape[1]) == LENGTHS[:, None]
    return jnp.asarray(np.where(inside, tokens, np.where(first, 0, waste)))


def all_targets(space: Tokens) -> np.ndarray:
    """All values of a padded space, i32[N, *space.shape]."""
    stacks = list(itertools.product(range(1, space.vocab), repeat=space.depth))
    end = (0,) * space.depth
    targets = [
        [*inside, *[end] * (space.length - number)]
        for number in range(space.length + 1)
        for inside in itertools.product(stacks, repeat=number)
    ]
    targets = np.array(targets)
    return targets[..., 0] if space.depth == 1 else targets


def rows(batch: jax.Array | Padded, index) -> jax.Array | Padded:
    """Rows of a batch."""
    return jax.tree.map(lambda x: x[index], batch)
