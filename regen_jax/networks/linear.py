"""Dense layers: one that is fast on every backend, and one with float32 results."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class Linear(nn.Dense):
    """`nn.Dense` on rows: [..., D] to [..., features].

    The leading axes are folded into one. XLA's product of a matrix by a matrix is a
    quarter to a third faster on CPUs than that of a stack of matrices by a matrix.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = super().__call__(x.reshape(-1, x.shape[-1]))
        return y.reshape(*x.shape[:-1], self.features)


class Head(nn.Module):
    """The last layer of a network: [..., D] to f32[..., features].

    Operands are of `dtype`; sums, the bias and the result are float32. In bfloat16 a
    logit of 20 would be rounded by up to 0.06 nats.
    """

    features: int
    dtype: jnp.dtype = jnp.float32
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    bias_init: nn.initializers.Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        bias = self.param("bias", self.bias_init, (self.features,))
        return product(x, kernel, self.dtype) + bias


def product(x: jax.Array, kernel: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """f32[..., F]: the product of x [..., D] and a kernel [D, F], both taken as `dtype`."""
    rows = x.reshape(-1, x.shape[-1]).astype(dtype)
    y = jnp.dot(rows, kernel.astype(dtype), preferred_element_type=jnp.float32)
    return y.reshape(*x.shape[:-1], kernel.shape[-1])
