"""Flax's layers, faster to trace: initializers run where a model is initialized alone."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.initializers import Initializer


def traced_once(initializer: Initializer) -> Initializer:
    """Returns the initializer, whose program is kept for each shape and dtype."""
    traced = jax.jit(initializer, static_argnums=(1, 2))

    @functools.wraps(initializer)
    def init(
        rng: jax.Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32
    ) -> jax.Array:
        return traced(rng, tuple(shape), dtype)

    return init


@traced_once
def lecun_normal(
    rng: jax.Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32
) -> jax.Array:
    """Initializes kernels as Flax does, drawn as a matrix of fan-in by channels.

    The numbers are the same; XLA takes seconds to compile draws of four axes on a CPU.
    """
    matrix = (math.prod(shape[:-1]), shape[-1])
    return nn.initializers.lecun_normal()(rng, matrix, dtype).reshape(shape)


he_normal = traced_once(nn.initializers.he_normal())
normal = traced_once(nn.initializers.normal(0.02))
"""Of embeddings, and of kernels of discriminators."""
truncated_normal = traced_once(nn.initializers.truncated_normal(0.02))
zeros = traced_once(nn.initializers.zeros)
ones = traced_once(nn.initializers.ones)


class Module(nn.Module):
    """A Linen module that does not trace initializers of parameters that it has.

    Flax traces them wherever a model is applied, to compare shapes: a tenth of the time
    that it takes to trace a step.
    """

    @nn.nowrap
    def param(
        self,
        name: str,
        init_fn: Callable[..., Any],
        *init_args: Any,
        unbox: bool = True,
        **init_kwargs: Any,
    ) -> Any:
        """Creates or reads a parameter; the first of `init_args`, if any, is its shape."""
        has_shape = init_args and isinstance(init_args[0], tuple | list)
        # While a module is initialized, Flax looks for names that are used twice.
        if (
            has_shape
            and not self.is_initializing()
            and self.has_variable("params", name)
        ):
            value = self.get_variable("params", name)
            if jnp.shape(value) == tuple(init_args[0]):
                return value
        return super().param(name, init_fn, *init_args, unbox=unbox, **init_kwargs)


class Conv(Module, nn.Conv):
    """`flax.linen.Conv`."""

    kernel_init: Initializer = lecun_normal
    bias_init: Initializer = zeros


class Dense(Module, nn.Dense):
    """`flax.linen.Dense`."""

    kernel_init: Initializer = lecun_normal
    bias_init: Initializer = zeros


class Embed(Module, nn.Embed):
    """`flax.linen.Embed`, with a deviation of 0.02."""

    embedding_init: Initializer = normal


class GroupNorm(Module, nn.GroupNorm):
    """`flax.linen.GroupNorm`."""

    scale_init: Initializer = ones
    bias_init: Initializer = zeros


class LayerNorm(Module, nn.LayerNorm):
    """`flax.linen.LayerNorm`."""

    scale_init: Initializer = ones
    bias_init: Initializer = zeros
