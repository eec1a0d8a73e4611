"""Methods of `Autoregressive`, compiled once per model and shape, and variables."""

import functools
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.generators.autoregressive.delay import delay, undelay
from regen_jax.generators.sampling.logits import classifier_free_guidance
from regen_jax.networks.token_logits import mask_after_end
from regen_jax.networks.transformer import Transformer
from regen_jax.spaces import Tokens, Value

TRACES: list[Autoregressive] = []
"""The models that `sample` was traced for."""

loss = jax.jit(Autoregressive.loss, static_argnums=(0, 5))
log_prob = jax.jit(Autoregressive.log_prob, static_argnums=0)
alignment = jax.jit(Autoregressive.alignment, static_argnums=0)


@functools.partial(jax.jit, static_argnums=0)
def sample(model: Autoregressive, variables, keys: jax.Array, source: Value):
    TRACES.append(model)
    return model.sample(variables, keys, source)


def random_variables(model: Autoregressive, scale: float = 0.6):
    """Variables from NumPy, far from a uniform prediction, drawn by the path of a leaf.

    Biases are small, so that predictions depend on the input.
    """

    def draw(path, leaf) -> jax.Array:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        deviation = 0.1 * scale if name.endswith("/bias") else scale
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        return jnp.asarray(rng.normal(0, deviation, leaf.shape), jnp.float32)

    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return jax.tree_util.tree_map_with_path(draw, shapes)


def full_logits(
    model: Autoregressive, variables, source: Value, target: jax.Array
) -> jax.Array:
    """Guided logits f32[B, L, K, V] of a target, by forward passes over all of it."""

    def logits(drop: bool) -> jax.Array:
        drop = jnp.full(len(target), drop)
        return unguided_logits(
            model.network, model.target_space, variables, source, target, drop
        )

    if model.guidance == 1:
        return logits(False)
    return classifier_free_guidance(logits(False), logits(True), model.guidance)


@functools.partial(jax.jit, static_argnums=(0, 1))
def unguided_logits(
    network: Transformer,
    target_space: Tokens,
    variables,
    source: Value,
    target: jax.Array,
    drop: jax.Array,
) -> jax.Array:
    """Logits f32[B, L, K, V] of a target."""
    target = mask_after_end(target_space, target)
    if target_space.depth == 1:
        logits = network.apply(variables, source, target, drop).logits
        return logits[:, :, None]
    target = delay(target, target_space.vocab)
    return undelay(network.apply(variables, source, target, drop).logits)
