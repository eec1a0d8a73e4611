"""The options that all generators made of a transformer share."""

import dataclasses

from regen_jax import ranges
from regen_jax.ranges import Count, Positive, Rate
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
      dtype: compute dtype, `float32` or `bfloat16`; parameters, logits, losses and
        results are float32.
      remat: recompute the activations of each block in the backward pass, a quarter more
        arithmetic. Whether memory is saved is up to the compiler: XLA's programs for
        CPUs need as much with it as without.
    """

    source_space: Space
    target_space: Space
    width: Count = 128
    num_layers: Count = 4
    num_heads: Count = 4
    mlp_ratio: Positive = 4.0
    dropout: Rate = 0.0
    dtype: str = "float32"
    remat: bool = False

    def __post_init__(self):
        ranges.check(self)
        check_size(self.width, self.num_layers, self.num_heads, self.mlp_ratio)
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
    if not 1 <= round(mlp_ratio * width) <= 64 * width:
        raise ValueError(
            f"mlp_ratio must give an MLP of 1 to {64 * width} numbers, 64 times width, "
            f"not {mlp_ratio}"
        )
