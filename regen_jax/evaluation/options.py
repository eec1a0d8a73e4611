"""Options of reports on held-out data."""

import dataclasses

from regen_jax.ranges import Checked, Count, Natural


@dataclasses.dataclass(frozen=True)
class EvaluateOptions(Checked):
    """`config.evaluate`.

    Attributes:
      every: steps between reports while a stage trains.
      samples: number drawn by the `evaluate` command, at most one per example of the core
        list where Y belongs to an example; 0 is one for each.
      loop_samples: likewise, drawn for a report while the prior trains.
      batch_size: of held-out pairs and of samples; no metric depends on it.
    """

    every: Count = 500
    samples: Natural = 0
    loop_samples: Natural = 200
    batch_size: Count = 250
