"""What networks of clips share: how frames become latents in time."""

import abc
import dataclasses
from typing import ClassVar

import jax

from regen_jax.abstractions.networks.image_networks import ImageNetworks
from regen_jax.networks.frames import frame_space, pad_front
from regen_jax.spaces import Array


class VideoNetworks(ImageNetworks):
    """Encodes clips [T, H, W, C] with bounds to a grid of latents [t, h, w].

    A latent stands for `frames_per_latent` frames, f, and clips have any length: in front,
    the first frame is repeated until f divides it, so that t = ceil(T / f), and decoders
    leave out as many frames. Of 1 + k · f frames, the first latent is that of the first
    frame alone, and an image is a clip of length one. Of k · f frames, it is that of the
    first f.
    """

    image_networks: ClassVar[type[ImageNetworks]]
    """Networks of images, whose options these have and whose parameters inflate."""
    kind: ClassVar[str] = "clips"
    axes: ClassVar[tuple[str, ...]] = ("frames", "height", "width", "channels")

    @property
    @abc.abstractmethod
    def frames_per_latent(self) -> int:
        """Number of frames that a latent stands for."""

    def as_image_networks(self, space: Array) -> tuple[Array, ImageNetworks]:
        fields = dataclasses.fields(self.image_networks)
        options = {field.name: getattr(self, field.name) for field in fields}
        return frame_space(space), self.image_networks(**options)

    def num_latent_frames(self, space: Array) -> int:
        """Returns the number of latents of a clip in time."""
        return -(-space.shape[0] // self.frames_per_latent)

    def skip(self, space: Array) -> int:
        """Returns the number of frames that repeat the first one."""
        return -space.shape[0] % self.frames_per_latent

    def preprocess(self, space: Array, y: jax.Array) -> jax.Array:
        """Returns y in [-1, 1] after repetitions of its first frame."""
        return pad_front(super().preprocess(space, y), self.frames_per_latent)
