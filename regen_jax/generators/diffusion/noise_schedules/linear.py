"""The linear schedule."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.generators.diffusion.interfaces import NoiseSchedule, Scales
from regen_jax.ranges import Positive


@dataclasses.dataclass(frozen=True)
class Linear(NoiseSchedule):
    """The rate of noise rises in a line from data to noise.

    DDPM's schedule (Ho et al., arXiv 2006.11239) in continuous time (Song et al., arXiv
    2011.13456, equation 33): with s = 1 - t,
    log alpha = -s² (beta_max - beta_min) / 4 - s beta_min / 2.

    Attributes:
      beta_min: rate at the data, a thousand times DDPM's of the first of 1,000 steps.
      beta_max: rate at the noise, likewise of the last step.
    """

    beta_min: Positive = 0.1
    beta_max: Positive = 20.0

    def __post_init__(self):
        super().__post_init__()
        if self.beta_min >= self.beta_max:
            raise ValueError(
                f"beta_min {self.beta_min} must be below beta_max {self.beta_max}"
            )

    def scales(self, time: jax.Array) -> Scales:
        s = 1 - time
        quadratic, linear = self._coefficients
        log_alpha = -(quadratic * s + linear) * s
        return Scales(jnp.exp(log_alpha), jnp.sqrt(-jnp.expm1(2 * log_alpha)))

    def time_at(self, noise_level: jax.Array) -> jax.Array:
        quadratic, linear = self._coefficients
        fall = jnp.log1p(jnp.square(noise_level)) / 2
        root = jnp.sqrt(linear**2 + 4 * quadratic * fall)
        return 1 - 2 * fall / (linear + root)

    @property
    def _coefficients(self) -> tuple[float, float]:
        """Of s² and of s in -log alpha."""
        return (self.beta_max - self.beta_min) / 4, self.beta_min / 2
