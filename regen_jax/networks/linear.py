"""Dense layers over one or more axes, and one whose sums and result are float32."""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype

from regen_jax.networks.layers import Module, lecun_normal, zeros


class Linear(Module):
    """Dense layer: [..., *inputs] to [..., *features], each of one or more axes.

    The kernel is [*inputs, *features]. The product is one of matrices: with more axes it
    is a quarter to a third slower on CPUs, and slower to compile.

    Attributes:
      features: sizes of the new last axes, such as (3, heads, D).
      num_inputs: number of last axes of the input that are summed over.
      dtype: of the computation; None takes that of the input and the parameters.
      kernel_init: draws the kernel as a matrix [prod(inputs), prod(features)].
    """

    features: int | Sequence[int]
    num_inputs: int = 1
    dtype: jnp.dtype | None = None
    kernel_init: nn.initializers.Initializer = lecun_normal

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        features = self.features
        features = (features,) if isinstance(features, int) else tuple(features)
        leading, inputs = x.shape[: -self.num_inputs], x.shape[-self.num_inputs :]

        def init(rng: jax.Array, shape: tuple[int, ...]) -> jax.Array:
            matrix = self.kernel_init(rng, (math.prod(inputs), math.prod(features)))
            return matrix.reshape(shape)

        kernel = self.param("kernel", init, (*inputs, *features))
        bias = self.param("bias", zeros, features)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        kernel = kernel.reshape(math.prod(inputs), math.prod(features))
        y = x.reshape(-1, math.prod(inputs)) @ kernel + bias.reshape(-1)
        return y.reshape(*leading, *features)


class Head(Module):
    """The last layer of a network: [..., D] to f32[..., features].

    Operands are of `dtype`; sums, the bias and the result are float32. In bfloat16 a
    logit of 20 would be rounded by up to 0.06 nats.
    """

    features: int
    dtype: jnp.dtype = jnp.float32
    kernel_init: nn.initializers.Initializer = lecun_normal
    bias_init: nn.initializers.Initializer = zeros

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        bias = self.param("bias", self.bias_init, (self.features,))
        return float32_product(x, kernel, self.dtype) + bias


def float32_product(x: jax.Array, kernel: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """Returns f32[..., F], x [..., D] times kernel [D, F], with operands in `dtype`."""
    rows = x.reshape(-1, x.shape[-1]).astype(dtype)
    y = jnp.dot(rows, kernel.astype(dtype), preferred_element_type=jnp.float32)
    return y.reshape(*x.shape[:-1], kernel.shape[-1])
