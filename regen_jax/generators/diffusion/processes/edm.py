"""The process of EDM, with its preconditioned network."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.generators.diffusion.interfaces import (
    Components,
    Process,
    Scales,
    expand,
)
from regen_jax.ranges import Positive


@dataclasses.dataclass(frozen=True)
class EDM(Process):
    """x_t = data + sigma noise, and a network scaled to unit variance at every sigma.

    Karras et al., arXiv 2206.00364. The network F gives the denoiser (equation 7)

      D(x, sigma) = c_skip x + c_out F(c_in x, c_noise),

    and the loss weighs its squared error by 1 / c_out² (equation 8). Time is such that
    steps of equal length have the sigmas of equation 5. In the paper training draws them
    by `log_normal`.

    Attributes:
      sigma_data: deviation of the normalized target; near 1 for standardized latents.
      sigmas: where the last step starts, which ends at 0, and where samples start.
      rho: exponent of the schedule; more makes steps near the data shorter.
    """

    sigma_data: Positive = 0.5
    sigmas: tuple[Positive, Positive] = (0.002, 80.0)
    rho: Positive = 7.0

    def __post_init__(self):
        super().__post_init__()
        low, high = self.sigmas
        if low >= high:
            raise ValueError(f"sigmas must be two rising ones, not {self.sigmas}")

    def scales(self, time: jax.Array) -> Scales:
        return Scales(jnp.ones_like(time), self._sigma(time))

    def time_at(self, noise_level: jax.Array) -> jax.Array:
        return 1 - (noise_level / self.sigmas[1]) ** (1 / self.rho)

    def times(self, num_steps: int) -> np.ndarray:
        """Returns times of sigmas that fall to the lowest, and of 0."""
        low, high = self.sigmas
        last = 1 - (low / high) ** (1 / self.rho)
        return np.append(np.linspace(0, last, num_steps), 1.0)

    def network_inputs(
        self, x: jax.Array, time_B: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Returns c_in x and c_noise, of table 1."""
        sigma_B = self._sigma(time_B)
        # Below it, sigma makes no difference that float32 shows.
        c_noise = jnp.log(jnp.maximum(sigma_B, 1e-6)) / 4
        return x / self._norm(expand(sigma_B, x)), c_noise

    def error(
        self, prediction: jax.Array, truth: Components, time_B: jax.Array
    ) -> jax.Array:
        """Returns F - (data - c_skip x) / c_out, in a form without quotients 0 / 0."""
        sigma = self._sigma(expand(time_B, prediction))
        expected = sigma / self.sigma_data * truth.data - self.sigma_data * truth.noise
        return prediction - expected / self._norm(sigma)

    def estimate(
        self, prediction: jax.Array, x: jax.Array, time_B: jax.Array
    ) -> Components:
        """Returns D(x, sigma) and (x - D) / sigma."""
        sigma = self._sigma(expand(time_B, x))
        norm = self._norm(sigma)
        skip, out = jnp.square(self.sigma_data / norm), self.sigma_data / norm
        return Components(
            skip * x + sigma * out * prediction,
            sigma * x / jnp.square(norm) - out * prediction,
        )

    def _sigma(self, time: jax.Array) -> jax.Array:
        return self.sigmas[1] * (1 - time) ** self.rho

    def _norm(self, sigma: jax.Array) -> jax.Array:
        """Returns 1 / c_in, the deviation of x_t."""
        return jnp.sqrt(jnp.square(sigma) + self.sigma_data**2)
