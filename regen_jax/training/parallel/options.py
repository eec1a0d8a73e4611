"""How a run is spread over devices: `config.parallel`."""

import dataclasses
from typing import Annotated, Literal

from annotated_types import Ge

from regen_jax import ranges
from regen_jax.ranges import Checked, Count, Natural


@dataclasses.dataclass(frozen=True)
class MeshAxes(Checked):
    """Numbers of devices along the axes of the mesh, by name of the axis.

    Attributes:
      data: devices that hold different examples; -1 takes all that `fsdp` leaves.
      fsdp: devices that a parameter is split over; they hold different examples too.
    """

    data: Annotated[int, Ge(-1)] = -1
    fsdp: Count = 1

    def __post_init__(self):
        super().__post_init__()
        if self.data == 0:
            raise ValueError("data must be at least 1, or -1, not 0")


@dataclasses.dataclass(frozen=True)
class ParallelOptions(Checked):
    """`config.parallel`.

    Attributes:
      strategy: `sharded` (jit over a data × fsdp mesh) or `pmap` (replicated).
      axes: devices along each axis of the mesh; `pmap` has `data` alone.
      rules: (pattern, tactic) pairs; the first pattern that occurs in the path of an array
        decides: `fsdp` splits its largest axis that divides, `replicate` does not split.
      min_size: arrays with fewer values are replicated whatever the rules say; of stacked
        layers, the values of one layer count.
    """

    strategy: Literal["sharded", "pmap"] = "sharded"
    axes: MeshAxes = MeshAxes()
    rules: tuple[tuple[str, Literal["fsdp", "replicate"]], ...] = ((".*", "fsdp"),)
    min_size: Natural = 1024

    def __post_init__(self):
        super().__post_init__()
        for index, (pattern, _) in enumerate(self.rules):
            ranges.check_pattern(f"rules[{index}][0]", pattern)
        if self.strategy == "pmap" and self.axes.fsdp != 1:
            raise ValueError(
                f"axes.fsdp {self.axes.fsdp} needs strategy 'sharded'; pmap keeps whole "
                "copies"
            )
