"""What networks of images and clips share: pixels in [-1, 1], a grid without padding."""

from typing import ClassVar

import jax

from regen_jax.abstractions.networks.interface import Networks
from regen_jax.spaces import Array, Space


class ImageNetworks(Networks):
    """Encodes images [H, W, C] with bounds to a grid of latents."""

    kind: ClassVar[str] = "images"
    axes: ClassVar[tuple[str, ...]] = ("height", "width", "channels")
    """Of a value, by name."""

    def check(self, space: Space) -> None:
        name = type(self).__module__.rpartition(".")[2]
        rank = len(self.axes)
        if not isinstance(space, Array) or len(space.shape) != rank or space.padded:
            raise ValueError(
                f"networks {name!r} need {self.kind}, an Array of "
                f"{', '.join(self.axes)}, not {space}"
            )
        if not space.bounded:
            raise ValueError(
                f"networks {name!r} need an Array with bounds, not {space}"
            )

    def preprocess(self, space: Array, y: jax.Array) -> jax.Array:
        return space.normalize(y)

    def target(self, space: Array, y: jax.Array) -> jax.Array:
        """Returns y in [-1, 1]."""
        return space.normalize(y)

    def postprocess(
        self, space: Array, prediction: jax.Array, mask: jax.Array | None
    ) -> jax.Array:
        return space.denormalize(prediction)
