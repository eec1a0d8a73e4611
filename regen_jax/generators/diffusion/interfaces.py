"""The parts of diffusion. Each is a frozen dataclass of options, chosen by its name.

Time t runs from 0, where x_t is noise, to 1, where it is data. A process is Gaussian:

  x_t = alpha(t) data + sigma(t) noise,                                        (1)

and samples follow its probability flow (Song et al., arXiv 2011.13456, equation 13):

  dx = E[data | x_t] dalpha + E[noise | x_t] dsigma.                           (2)

So whatever a network predicts is converted to estimates of data and noise, which is all
that solvers ask for: any of them solves (2) of any process.
"""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import numpy as np

from regen_jax.ranges import Checked, Fraction
from regen_jax.spaces import Value


class Components(NamedTuple):
    """The two parts of x_t, or estimates of them, [B, *shape] each."""

    data: jax.Array
    noise: jax.Array


class Scales(NamedTuple):
    """The factors of the components in x_t."""

    alpha: jax.Array
    sigma: jax.Array


class Noising(Checked, abc.ABC):
    """Coefficients of the data and of the noise in x_t, at times t from 0 to 1."""

    @abc.abstractmethod
    def scales(self, time: jax.Array) -> Scales:
        """Returns alpha and sigma at times of any shape; sigma is 0 at time 1."""

    @abc.abstractmethod
    def time_at(self, noise_level: jax.Array) -> jax.Array:
        """Returns the times at which sigma / alpha has those values."""


class Process(Noising):
    """A forward process from data to noise, with the target of the network."""

    registry: ClassVar[str] = "regen_jax.generators.diffusion.processes"

    @abc.abstractmethod
    def error(
        self, prediction: jax.Array, truth: Components, time_B: jax.Array
    ) -> jax.Array:
        """Returns the error of a prediction [B, *shape], whose mean square is the loss."""

    @abc.abstractmethod
    def estimate(
        self, prediction: jax.Array, x: jax.Array, time_B: jax.Array
    ) -> Components:
        """Converts a prediction at x_t [B, *shape], at one time per example."""

    def corrupt(self, truth: Components, time_B: jax.Array) -> jax.Array:
        """Returns x_t [B, *shape] at one time per example, by equation (1)."""
        alpha, sigma = self.scales(expand(time_B, truth.data))
        return sigma * truth.noise + alpha * truth.data

    def network_inputs(
        self, x: jax.Array, time_B: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Returns what the network is given in place of x_t and the times."""
        return x, time_B

    def times(self, num_steps: int) -> np.ndarray:
        """Returns the ends of the steps from noise to data, f64[num_steps + 1]."""
        return np.arange(num_steps + 1) / num_steps


class Prediction(Checked, abc.ABC):
    """What the network predicts of x_t, by scales that broadcast over [B, *shape]."""

    registry: ClassVar[str] = "regen_jax.generators.diffusion.predictions"
    divides_by_alpha: ClassVar[bool] = False
    """Whether it says nothing of the data where alpha is 0."""

    @abc.abstractmethod
    def error(
        self, prediction: jax.Array, truth: Components, scales: Scales
    ) -> jax.Array:
        """Returns the error of a prediction [B, *shape], as `Process.error`."""

    @abc.abstractmethod
    def estimate(
        self, prediction: jax.Array, x: jax.Array, scales: Scales
    ) -> Components:
        """Converts a prediction at x_t, as `Process.estimate`."""


class NoiseSchedule(Noising):
    """Scales of a process that preserves variance: alpha² + sigma² = 1, alpha above 0."""

    registry: ClassVar[str] = "regen_jax.generators.diffusion.noise_schedules"


class TimeSampling(Checked, abc.ABC):
    """The density of the time in training."""

    registry: ClassVar[str] = "regen_jax.generators.diffusion.time_sampling"

    @abc.abstractmethod
    def quantile(self, uniform: jax.Array, process: Process) -> jax.Array:
        """Maps uniform numbers in [0, 1) to times in [0, 1] of this density."""

    def sample(self, keys: jax.Array, process: Process) -> jax.Array:
        """Draws one time per key, f32[B]."""
        return self.quantile(jax.vmap(jax.random.uniform)(keys), process)


class SolverState(NamedTuple):
    """What a solver carries from step to step.

    Attributes:
      x: [B, *shape].
      keys: a key per example, for solvers that add noise.
      memory: a tree of what the solver keeps of earlier steps.
    """

    x: jax.Array
    keys: jax.Array
    memory: Any


@dataclasses.dataclass(frozen=True)
class Denoiser:
    """A process, and what a network estimates along it.

    Attributes:
      process: of the network.
      estimate: maps x_t [B, *shape] and one time f32[] to the components of x_t.
    """

    process: Process
    estimate: Callable[[jax.Array, jax.Array], Components]


Interval = tuple[jax.Array, jax.Array]
"""Times f32[] at which a step starts and ends."""


class Solver(Checked, abc.ABC):
    """A solver of the sampling ODE, equation (2), or of an SDE of the same marginals."""

    registry: ClassVar[str] = "regen_jax.generators.diffusion.solvers"
    num_calls: ClassVar[int] = 1
    """Calls of the denoiser in a step."""

    def init(self, x: jax.Array) -> Any:
        """Returns the memory before the first step."""
        return ()

    @abc.abstractmethod
    def step(
        self, denoiser: Denoiser, state: SolverState, interval: Interval
    ) -> SolverState:
        """Moves x from the start to the end of an interval."""

    @property
    def last(self) -> "Solver":
        """The solver of the last step, which ends at the data."""
        return self


class Inputs(NamedTuple):
    """What a network reads.

    Attributes:
      source: [B, *source.shape].
      x: x_t [B, *shape].
      time_B: f32[B].
    """

    source: Value
    x: jax.Array
    time_B: jax.Array


Predict = Callable[[Inputs, jax.Array], jax.Array]
"""Maps inputs and drop bool[B] to a prediction [B, *shape]; there is no source where `drop`
is true."""


@dataclasses.dataclass(frozen=True)
class GuidanceMethod(Checked, abc.ABC):
    """How predictions combine in sampling.

    Attributes:
      interval: times at which a guided step may start; other steps have scale 1
        (Kynkäänniemi et al., arXiv 2404.07724).
    """

    registry: ClassVar[str] = "regen_jax.generators.diffusion.guidance"
    needs_dropout: ClassVar[bool] = False
    """Whether it reads predictions without a source."""
    needs_guide: ClassVar[bool] = False
    """Whether it reads predictions of a guide."""

    interval: tuple[Fraction, Fraction] = (0.0, 1.0)

    def __post_init__(self):
        super().__post_init__()
        low, high = self.interval
        if low > high:
            raise ValueError(
                f"interval must be two rising times in [0, 1], not {self.interval}"
            )

    @abc.abstractmethod
    def predict(
        self, network: Predict, guide: Predict | None, inputs: Inputs, scale: float
    ) -> jax.Array:
        """Returns the guided prediction [B, *shape], that of `network` if scale is 1.

        Args:
          network: that is guided.
          guide: the same network with parameters of early training; None if there are
            none.
          inputs: of both.
          scale: of the guidance.
        """

    def scale_at(self, time: float, scale: float) -> float:
        """Returns the scale of steps that start at that time."""
        low, high = self.interval
        # Devices have times in float32, and quotients such as 3 / 10 are not exact.
        return scale if low <= round(time, 6) <= high else 1.0


def expand(time_B: jax.Array, x: jax.Array) -> jax.Array:
    """Returns times f32[B] as [B, 1, …], which broadcasts over x [B, *shape]."""
    return time_B.reshape(-1, *[1] * (x.ndim - 1))
