"""The transformer that the options of a generator of tokens describe."""

from collections.abc import Callable

import jax.numpy as jnp

from regen_jax.generators.token_options import TokenOptions
from regen_jax.networks.decoder_conditioning import (
    Aligned,
    Conditioning,
    CrossAttention,
    Prefix,
)
from regen_jax.networks.heads import Dense, OutputHead, Tied
from regen_jax.networks.pointer import Pointer
from regen_jax.networks.transformer import Transformer


def build_network(
    options: TokenOptions, length: int, causal: bool = True, ctc: bool = False
) -> Transformer:
    """Returns the network; two of equal options are equal, whatever those of sampling.

    Args:
      options: of the network.
      length: number of positions to predict.
      causal: whether a token is predicted from those before it alone.
      ctc: whether tokens are predicted at each vector of the source too.
    """
    return Transformer(
        source_space=options.source_space,
        length=length,
        vocab=options.target_space.vocab,
        width=options.width,
        num_layers=options.num_layers,
        num_heads=options.num_heads,
        conditioning=_CONDITIONINGS[options.conditioning](options),
        head=_HEADS[options.head](options),
        mlp_ratio=options.mlp_ratio,
        dropout=options.dropout,
        remat=options.remat,
        dtype=jnp.dtype(options.dtype),
        depth=options.target_space.depth,
        encoder_layers=options.encoder_layers,
        source_stride=options.source_stride,
        ctc=ctc,
        rotary=options.rotary,
        causal=causal,
    )


def _dense(options: TokenOptions) -> Dense:
    target_space = options.target_space
    return Dense(target_space.depth * target_space.vocab, jnp.dtype(options.dtype))


def _tied(options: TokenOptions) -> Tied:
    return Tied(jnp.dtype(options.dtype))


def _pointer(options: TokenOptions, writer: OutputHead) -> Pointer:
    dtype = jnp.dtype(options.dtype)
    return Pointer(options.source_space, options.width, writer, dtype)


def _aligned(options: TokenOptions) -> Aligned:
    length, vectors = options.target_space.length, options.time_aligned_vectors
    if len(vectors) == options.num_vectors:
        return Aligned(length)
    return Aligned(length, vectors.start, len(vectors))


_CONDITIONINGS: dict[str, Callable[[TokenOptions], Conditioning]] = {
    "prefix": lambda options: Prefix(),
    "cross": lambda options: CrossAttention(),
    "aligned": _aligned,
}
_HEADS: dict[str, Callable[[TokenOptions], OutputHead]] = {
    "dense": _dense,
    "tied": _tied,
    "pointer": lambda options: _pointer(options, _dense(options)),
    "tied_pointer": lambda options: _pointer(options, _tied(options)),
}
