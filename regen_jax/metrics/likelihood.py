"""Normalization of negative log-likelihoods."""

import math

import jax


def nats_per_token(nll: float | jax.Array, num_tokens: int) -> float | jax.Array:
    """Converts nats per example [...] to nats per token."""
    return nll / num_tokens


def bits_per_dim(nll: float | jax.Array, num_dims: int) -> float | jax.Array:
    """Converts nats per example [...] to bits per dimension, `nll / (num_dims ln 2)`.

    For discrete values, such as 8-bit pixels, `nll` is that of a probability mass, and
    uniform noise has log2 of the number of levels (van den Oord et al., arXiv
    1601.06759).
    """
    return nll / (num_dims * math.log(2))
