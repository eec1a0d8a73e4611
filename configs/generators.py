"""Options of generators that configs share, and which choices fit them."""

from collections.abc import Mapping
from typing import Any

CODES = {"prior": ("autoregressive", "masked"), "decoder": ("inverse",)}
"""Choices that fit an abstraction to tokens, the default first."""
ARRAYS = {"prior": ("diffusion", "regression"), "decoder": ("inverse",)}
"""Choices that fit an abstraction to arrays, the default first."""


def transformer(
    width: int, num_layers: int, num_heads: int, **options: Any
) -> dict[str, Any]:
    """Returns the options of a transformer's size, and further `options`."""
    return {
        "width": width,
        "num_layers": num_layers,
        "num_heads": num_heads,
        "dtype": "float32",
        **options,
    }


def encoder_decoder(size: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """Returns the options of an autoregressive generator that encodes its source.

    Args:
      size: of its decoder, as `transformer` returns it, and unless `options` have
        `encoder_layers` of its encoder.
      **options: further ones, or in place of those that are common.
    """
    return {
        **size,
        "encoder_layers": size["num_layers"],
        "conditioning": "cross",
        "source_dropout": 0.0,
        "remat": "none",
        **options,
    }


def diffusion(network: dict[str, Any], num_steps: int) -> dict[str, Any]:
    """Returns the options of a diffusion generator, whose parts flags exchange by name."""
    return {
        "network": network,
        "num_steps": num_steps,
        "process": {"name": "flow_matching"},
        "time_sampling": {"name": "logit_normal"},
        "solver": {"name": "heun"},
        "guidance_method": {"name": "classifier_free"},
    }


def by_name(
    size: Mapping[str, Any], patch: int, tokens: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Returns the options of a generator of each kind.

    Args:
      size: of their transformers, as `transformer` returns it.
      patch: side of the patches of those of arrays.
      tokens: the options of the autoregressive one.
    """
    network = {"name": "dit", "patch": patch, **size}
    return {
        "autoregressive": dict(tokens),
        "masked": {"dropout": 0.1, "num_steps": 12, **size},
        "diffusion": diffusion(network, num_steps=12),
        "regression": {"network": network},
    }
