"""What the networks of an autoencoder are: an encoder and a decoder for a space."""

import abc
from typing import ClassVar

import flax.linen as nn
import jax

from regen_jax.networks.layer_stack import Params
from regen_jax.ranges import Checked
from regen_jax.spaces import Space, Value


class Networks(Checked, abc.ABC):
    """Encodes values of a space to latents [B, *latent_shape, D], and decodes them.

    A subclass is a frozen dataclass of options; the space is an argument. Where latents
    are padded, both modules take a mask bool[B, *latent_shape] as their second argument,
    false in padding; where they are not, the mask is None and not an argument.
    """

    registry: ClassVar[str] = "regen_jax.abstractions.networks"

    @abc.abstractmethod
    def check(self, space: Space) -> None:
        """Raises a ValueError if these networks cannot encode values of the space."""

    @abc.abstractmethod
    def latent_shape(self, space: Space) -> tuple[int, ...]:
        """Returns the shape of an example's latents, without their channels."""

    @abc.abstractmethod
    def encoder(self, space: Space, latent_dim: int) -> nn.Module:
        """Returns a module from the result of `preprocess` to latents."""

    @abc.abstractmethod
    def decoder(self, space: Space) -> nn.Module:
        """Returns a module from latents to a prediction, in the units of `target`."""

    @property
    def last_layer(self) -> tuple[str, ...]:
        """Path of the last kernel in the decoder's parameters; empty where there is none.

        Loss terms with an adaptive weight need one.
        """
        return ()

    @abc.abstractmethod
    def preprocess(self, space: Space, y: Value) -> jax.Array:
        """Returns the encoder's input for y [B, *space.shape]."""

    @abc.abstractmethod
    def postprocess(
        self, space: Space, prediction: jax.Array, mask: jax.Array | None
    ) -> Value:
        """Returns the y [B, *space.shape] of the decoder's prediction."""

    def target(self, space: Space, y: Value) -> Value:
        """Returns y as losses compare it with predictions."""
        return y

    def padded(self, space: Space) -> bool:
        """Returns whether the first axis of latents varies in length."""
        return False

    def mask(self, space: Space, y: Value) -> jax.Array | None:
        """Returns the mask of the latents of y, None where they are not padded."""
        return None

    def as_image_networks(self, space: Space) -> tuple[Space, "Networks"] | None:
        """Returns the space and networks whose parameters `inflate` takes; None for none.

        Those of clips are inflated from those of images.
        """
        return None

    def inflate(self, space: Space, params: Params) -> Params:
        """Returns parameters made from those of `as_image_networks`.

        Args:
          space: that these networks encode.
          params: `encoder` and `decoder`.
        """
        raise NotImplementedError(f"{type(self).__name__} inflates no parameters")

    def random_segment(
        self, space: Space, keys: jax.Array, y: Value
    ) -> tuple[Value, jax.Array]:
        """Draws the part of each example that trains, by default all of it.

        Args:
          space: the space of y.
          keys: one per example.
          y: [B, *space.shape].

        Returns:
          y with a first axis of the segment's length, and keys for what is drawn next.
        """
        return y, keys
