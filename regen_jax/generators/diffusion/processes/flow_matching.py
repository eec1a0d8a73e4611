"""Flow matching along straight paths."""

import dataclasses

import jax

from regen_jax.generators.diffusion.interfaces import Prediction, Scales
from regen_jax.generators.diffusion.predictions.velocity import Velocity
from regen_jax.generators.diffusion.processes.parameterized import ParameterizedProcess


@dataclasses.dataclass(frozen=True)
class FlowMatching(ParameterizedProcess):
    """x_t = (1 - t) noise + t data.

    Flow matching (Lipman et al., arXiv 2210.02747) with the paths of rectified flow (Liu,
    Gong and Liu, arXiv 2209.03003).

    Attributes:
      prediction: what the network predicts: `velocity`, as in the papers, or `x`.
    """

    prediction: Prediction = dataclasses.field(default_factory=Velocity)

    def __post_init__(self):
        super().__post_init__()
        if self.prediction.divides_by_alpha:
            name = type(self.prediction).__name__
            raise ValueError(
                f"prediction {name} says nothing of the data at time 0, where flow "
                "matching has noise alone: use process 'ddpm', or 'velocity', 'v' or 'x'"
            )

    def scales(self, time: jax.Array) -> Scales:
        return Scales(time, 1 - time)

    def time_at(self, noise_level: jax.Array) -> jax.Array:
        return 1 / (1 + noise_level)
