"""The parts of diffusion. Each is a frozen dataclass of options, chosen by its name.

Time t runs from 0, where x_t is noise, to 1, where it is data.
"""

import abc
from collections.abc import Callable
from typing import ClassVar

import jax

from regen_jax.spaces import Value

Velocity = Callable[[jax.Array, jax.Array], jax.Array]
"""Maps x [B, *shape] and one time f32[] to dx/dt [B, *shape]."""
Predict = Callable[[Value, jax.Array, jax.Array, jax.Array], jax.Array]
"""The network: maps source, drop bool[B], x_t [B, *shape] and times f32[B] to a prediction
[B, *shape]; it sees no source where `drop` is true."""


class Process(abc.ABC):
    """How data become noise, and what the network predicts of it."""

    registry: ClassVar[str] = "regen_jax.generators.diffusion.processes"

    @abc.abstractmethod
    def corrupt(
        self, noise: jax.Array, data: jax.Array, time_B: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Returns x_t [B, *shape] at one time per example, and the network's target there.

        The loss is the squared error of the prediction.
        """

    @abc.abstractmethod
    def velocity(
        self, prediction: jax.Array, x: jax.Array, time_B: jax.Array
    ) -> jax.Array:
        """Converts a prediction at x_t to dx/dt [B, *shape] of the sampling ODE."""


class TimeSampling(abc.ABC):
    """The density of the time in training."""

    registry: ClassVar[str] = "regen_jax.generators.diffusion.time_sampling"

    @abc.abstractmethod
    def sample(self, keys: jax.Array) -> jax.Array:
        """Draws one time per key: f32[B] in [0, 1]."""


class Solver(abc.ABC):
    """A one-step solver of the sampling ODE."""

    registry: ClassVar[str] = "regen_jax.generators.diffusion.solvers"

    @abc.abstractmethod
    def step(
        self, velocity: Velocity, x: jax.Array, start: jax.Array, end: jax.Array
    ) -> jax.Array:
        """Moves x [B, *shape] from the time `start` to `end`."""

    @property
    def last(self) -> "Solver":
        """The solver of the last step, which ends at the data."""
        return self


class GuidanceMethod(abc.ABC):
    """How predictions with and without a source combine in sampling."""

    registry: ClassVar[str] = "regen_jax.generators.diffusion.guidance"

    @abc.abstractmethod
    def predict(
        self,
        network: Predict,
        source: Value,
        x: jax.Array,
        time_B: jax.Array,
        scale: float,
    ) -> jax.Array:
        """Returns the guided prediction [B, *shape], that of `network` if scale is 1."""

    def scale_at(self, time: float, scale: float) -> float:
        """Returns the scale of steps that start at that time."""
        return scale
