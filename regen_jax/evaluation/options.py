"""Options of reports on held-out data."""

import dataclasses

from regen_jax.ranges import Checked, Count, Natural


@dataclasses.dataclass(frozen=True)
class EvaluateOptions(Checked):
    """`config.evaluate`.

    Attributes:
      every: steps between reports while a stage trains.
      samples: number of samples that `evaluate` draws, at most one per example of the
        core list in tasks where metrics compare Y with a reference; 0 is one per example.
      loop_samples: as `samples`, for a report while the prior trains.
      batch_size: of held-out pairs and of samples; no metric depends on it.
    """

    every: Count = 500
    samples: Natural = 0
    loop_samples: Natural = 200
    batch_size: Count = 250
