"""The options that all generators with a transformer share."""

import dataclasses

from regen_jax.ranges import Checked, Count, Dropout, Dtype, Positive, Remat
from regen_jax.spaces import Space


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformerShape(Checked):
    """The size of a transformer and the type it computes in.

    Attributes:
      width: of each vector, divided among `num_heads`.
      num_layers: number of blocks, of attention and an MLP.
      num_heads: number of attention heads.
      mlp_ratio: width of the MLP's hidden layer over `width`.
      dtype: of the computation; parameters, logits, losses and results are float32.
    """

    width: Count = 128
    num_layers: Count = 4
    num_heads: Count = 4
    mlp_ratio: Positive = 4.0
    dtype: Dtype = "float32"

    def __post_init__(self):
        super().__post_init__()
        check_size(self.width, self.num_layers, self.num_heads, self.mlp_ratio)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformerSize(TransformerShape):
    """The size of a transformer and how it trains.

    Attributes:
      dropout: rate at which values of each layer's output are dropped in training,
        rounded to 1/256: below 1/512 there is none.
      remat: which activations of each block the backward pass recomputes: `none`, or
        `full` for all, a quarter more arithmetic. Whether memory is saved is up to the
        compiler: XLA's programs for CPUs need as much with it as without.
    """

    dropout: Dropout = 0.0
    remat: Remat = "none"


@dataclasses.dataclass(frozen=True)
class TransformerOptions(TransformerSize):
    """Source, target and the size of a transformer between them.

    Attributes:
      source_space: the space of the source.
      target_space: the space of the target.
    """

    source_space: Space
    target_space: Space


def check_size(width: int, num_layers: int, num_heads: int, mlp_ratio: float) -> None:
    """Raises ValueError if the sizes of a transformer do not fit together."""
    if width % num_heads:
        raise ValueError(f"num_heads {num_heads} does not divide width {width}")
    if not 1 <= round(mlp_ratio * width) <= 64 * width:
        raise ValueError(
            f"mlp_ratio must give an MLP of 1 to {64 * width} numbers, 64 times width, "
            f"not {mlp_ratio}"
        )
