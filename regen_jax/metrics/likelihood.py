"""Likelihood per token and per dimension, from the negative log-likelihood in nats."""

import math

import jax


def nats_per_token(nll: float | jax.Array, tokens: int) -> float | jax.Array:
    """Nats a token, from the nats [...] of a whole example of `tokens` tokens."""
    return nll / tokens


def bits_per_dim(nll: float | jax.Array, dims: int) -> float | jax.Array:
    """Bits a dimension, `nll / (dims ln 2)`, from the nats [...] of `dims` values.

    For discrete values, such as 8-bit pixels, `nll` belongs to a probability mass, and
    uniform noise costs log2 of the number of levels (van den Oord et al., arXiv
    1601.06759).
    """
    return nll / (dims * math.log(2))
