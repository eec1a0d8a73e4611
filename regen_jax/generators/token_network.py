"""The transformer that the options of `autoregressive` describe."""

from collections.abc import Callable

import jax.numpy as jnp

from regen_jax.generators.autoregressive.options import AutoregressiveOptions
from regen_jax.networks.decoder_conditioning import (
    Aligned,
    Conditioning,
    CrossAttention,
    Prefix,
)
from regen_jax.networks.heads import Dense, OutputHead, Tied
from regen_jax.networks.pointer import Pointer
from regen_jax.networks.transformer import Transformer


def build_network(options: AutoregressiveOptions) -> Transformer:
    """Returns the network; two of equal options are equal, whatever those of sampling."""
    target_space = options.target_space
    return Transformer(
        source_space=options.source_space,
        # The last level of a stack comes `depth - 1` steps after the first.
        length=target_space.length + target_space.depth - 1,
        vocab=target_space.vocab,
        width=options.width,
        num_layers=options.num_layers,
        num_heads=options.num_heads,
        conditioning=_CONDITIONINGS[options.conditioning](options),
        head=_HEADS[options.head](options),
        mlp_ratio=options.mlp_ratio,
        dropout=options.dropout,
        remat=options.remat,
        dtype=jnp.dtype(options.dtype),
        depth=target_space.depth,
        encoder_layers=options.encoder_layers,
        source_stride=options.source_stride,
        ctc=options.ctc > 0,
        rotary=options.rotary,
    )


def _dense(options: AutoregressiveOptions) -> Dense:
    target_space = options.target_space
    return Dense(target_space.depth * target_space.vocab, jnp.dtype(options.dtype))


def _tied(options: AutoregressiveOptions) -> Tied:
    return Tied(jnp.dtype(options.dtype))


def _pointer(options: AutoregressiveOptions, writer: OutputHead) -> Pointer:
    dtype = jnp.dtype(options.dtype)
    return Pointer(options.source_space, options.width, writer, dtype)


_CONDITIONINGS: dict[str, Callable[[AutoregressiveOptions], Conditioning]] = {
    "prefix": lambda options: Prefix(),
    "cross": lambda options: CrossAttention(),
    "aligned": lambda options: Aligned(options.target_space.length),
}
_HEADS: dict[str, Callable[[AutoregressiveOptions], OutputHead]] = {
    "dense": _dense,
    "tied": _tied,
    "pointer": lambda options: _pointer(options, _dense(options)),
    "tied_pointer": lambda options: _pointer(options, _tied(options)),
}
