"""A dense layer that is quick on every backend."""

import flax.linen as nn
import jax


class Linear(nn.Dense):
    """`nn.Dense` on rows: [..., D] to [..., features].

    The leading axes are folded into one. XLA's product of a matrix by a matrix is a
    quarter to a third faster on CPUs than that of a stack of matrices by a matrix.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = super().__call__(x.reshape(-1, x.shape[-1]))
        return y.reshape(*x.shape[:-1], self.features)
