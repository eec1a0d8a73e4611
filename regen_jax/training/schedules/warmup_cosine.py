"""Linear warm-up, then a cosine (Loshchilov and Hutter, arXiv 1608.03983)."""

import dataclasses

import optax

from regen_jax.ranges import Fraction
from regen_jax.training.schedules.interface import Schedule


@dataclasses.dataclass(frozen=True)
class WarmupCosine(Schedule):
    """Rises to the peak in a line, then falls as a half cosine to the last step.

    Step s of w warm-up steps has (s + 1) / w of the peak, so that none has a rate of 0.

    Attributes:
      warmup: fraction of the steps of the stage, rounded to whole steps.
      final_fraction: what is left of the peak after the last step.
    """

    warmup: Fraction = 0.05
    final_fraction: Fraction = 0.0

    def by_step(self, num_steps: int) -> optax.Schedule:
        warmup_steps = round(self.warmup * num_steps)
        return optax.warmup_cosine_decay_schedule(
            init_value=self.learning_rate / max(warmup_steps, 1),
            peak_value=self.learning_rate,
            warmup_steps=max(warmup_steps - 1, 0),
            decay_steps=num_steps,
            end_value=self.learning_rate * self.final_fraction,
        )
