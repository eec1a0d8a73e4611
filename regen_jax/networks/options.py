"""The options that all generators made of a transformer share."""

import dataclasses

from regen_jax.spaces import Space


@dataclasses.dataclass(frozen=True)
class TransformerOptions:
    """Source, target and the size of a transformer between them.

    Attributes:
      source: the space of a.
      target: the space of b.
      width: of each vector, divided among `num_heads`.
      num_layers: blocks of attention and an MLP, which is `mlp_ratio` times as wide.
      dropout: of each layer's output, in training.
      dtype: compute dtype, `float32` or `bfloat16`; parameters, losses and results are
        float32.
      remat: recompute activations in the backward pass, to save memory.
    """

    source: Space
    target: Space
    width: int = 128
    num_layers: int = 4
    num_heads: int = 4
    mlp_ratio: float = 4.0
    dropout: float = 0.0
    dtype: str = "float32"
    remat: bool = False

    def __post_init__(self):
        check_size(self.width, self.num_layers, self.num_heads, self.mlp_ratio)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {self.dropout}")
        if self.dtype not in ("float32", "bfloat16"):
            raise ValueError(
                f"dtype must be 'float32' or 'bfloat16', not {self.dtype!r}"
            )


def check_size(width: int, num_layers: int, num_heads: int, mlp_ratio: float) -> None:
    """Raises ValueError where there is no transformer of that size."""
    if min(width, num_layers, num_heads) < 1:
        raise ValueError(
            "width, num_layers and num_heads must be at least 1, not "
            f"{width}, {num_layers} and {num_heads}"
        )
    if width % num_heads:
        raise ValueError(f"num_heads {num_heads} does not divide width {width}")
    if mlp_ratio <= 0:
        raise ValueError(f"mlp_ratio must be above 0, not {mlp_ratio}")
