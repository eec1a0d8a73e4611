"""Flow matching along straight paths."""

import dataclasses

import jax

from regen_jax.generators.diffusion.interfaces import Process


@dataclasses.dataclass(frozen=True)
class FlowMatching(Process):
    """x_t = (1 - t) noise + t data, of which the network predicts the velocity.

    Flow matching (Lipman et al., arXiv 2210.02747) with the paths of rectified flow (Liu,
    Gong and Liu, arXiv 2209.03003): the velocity is E[data - noise | x_t].
    """

    def corrupt(
        self, noise: jax.Array, data: jax.Array, time_B: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        time = time_B.reshape(-1, *[1] * (data.ndim - 1))
        return (1 - time) * noise + time * data, data - noise

    def velocity(
        self, prediction: jax.Array, x: jax.Array, time_B: jax.Array
    ) -> jax.Array:
        return prediction
