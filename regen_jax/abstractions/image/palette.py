"""Images in few colors, which are fitted to the training images."""

import dataclasses
import math
from collections.abc import Iterable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Interval

from regen_jax.abstractions.bottlenecks.k_means import k_means, nearest_center
from regen_jax.abstractions.image.consistency import encoded
from regen_jax.errors import UserError
from regen_jax.interfaces import Abstraction, LossOutput, Variables
from regen_jax.losses.squared_error import mean_square
from regen_jax.metrics import codebook
from regen_jax.modalities.image.color_histogram import ColorHistogram, bins_per_channel
from regen_jax.spaces import Array, Tokens, check_constant_length


@dataclasses.dataclass(frozen=True)
class Palette(Abstraction):
    """Gives each pixel the nearest of `num_colors` colors: a token per pixel.

    Tokens are in raster order. The colors are the centers of k-means over the pixels of
    the training images, binned as `ColorHistogram` does, and a function of these images
    alone. Token 0 is the color of the least sum over channels. Until `finalize` they are
    even steps of gray.

    Attributes:
      input_space: a bounded Array of images [..., channels] with 1 to 4 channels.
      num_colors: colors of the palette, no more than the training images have.
    """

    input_space: Array
    num_colors: Annotated[int, Interval(ge=2, le=1024)] = 16

    learned = True
    parametric = False

    def __post_init__(self):
        super().__post_init__()
        space = self.input_space
        check_constant_length(space)
        if not (isinstance(space, Array) and space.bounded) or (
            len(space.shape) < 2 or space.shape[-1] > 4
        ):
            raise ValueError(
                f"needs an Array of images with bounds and 1 to 4 channels, not {space}"
            )
        channels = space.shape[-1]
        most = bins_per_channel(channels, space.levels) ** channels
        if self.num_colors > most:
            raise ValueError(
                f"num_colors must be at most {most}, as {space} has no more colors, not "
                f"{self.num_colors}"
            )

    @property
    def output_space(self) -> Tokens:
        return Tokens(math.prod(self.input_space.shape[:-1]), self.num_colors)

    def init(self, rng: jax.Array, y: jax.Array) -> Variables:
        space = self.input_space
        grays = jnp.linspace(space.low, space.high, self.num_colors)
        colors = jnp.tile(grays[:, None], (1, space.shape[-1]))
        return {"params": {}, "palette": {"colors": colors}}

    def encode(self, variables: Variables, y: jax.Array) -> jax.Array:
        # Of normalized values, whose squares lose least.
        normalize, channels = self.input_space.normalize, self.input_space.shape[-1]
        pixels = normalize(y).reshape(-1, channels)
        colors = normalize(variables["palette"]["colors"])
        return nearest_center(pixels, colors).reshape(len(y), -1)

    def decode(self, variables: Variables, y_prime: jax.Array) -> jax.Array:
        colors = variables["palette"]["colors"][y_prime]
        return colors.reshape(len(y_prime), *self.input_space.shape)

    def loss(
        self, variables: Variables, keys: jax.Array, y: jax.Array, train: bool
    ) -> LossOutput:
        """Returns the mean squared error of the normalized image."""
        tokens = self.encode(variables, y)
        image = self.decode(variables, tokens)
        error = mean_square(
            self.input_space.normalize(image) - self.input_space.normalize(y), y
        )
        counts = codebook.code_counts(tokens, self.num_colors)
        return LossOutput(error, sums={"code_counts": counts})

    def summarize(
        self, metrics: dict[str, float], sums: dict[str, Any]
    ) -> dict[str, float]:
        return {**metrics, **codebook.summary(sums["code_counts"])}

    def check_data(self, batches: Iterable[Any]) -> None:
        histogram = self._histogram()
        for y in batches:
            histogram.add(y)
            if histogram.num_colors >= self.num_colors:
                return
        raise UserError(
            f"num_colors of abstraction 'palette' is {self.num_colors}, more than the "
            f"{histogram.num_colors} colors of the training images, counted at "
            f"{histogram.num_bins} levels per channel: lower it"
        )

    def finalize(self, variables: Variables, batches: Iterable[jax.Array]) -> Variables:
        """Returns variables with the colors of the training images."""
        histogram = self._histogram()
        for y in batches:
            histogram.add(np.asarray(y))
        means, counts = histogram.colors()
        points = self.input_space.normalize(jnp.asarray(means, jnp.float32))
        weights = jnp.asarray(counts / counts.sum(), jnp.float32)
        centers = k_means(jax.random.key(0), points, weights, self.num_colors)
        colors = self.input_space.denormalize(centers)
        order = jnp.argsort(colors.sum(axis=1))
        return {**variables, "palette": {"colors": colors[order]}}

    def code_metrics(
        self, y_prime: np.ndarray, reference: np.ndarray
    ) -> dict[str, float]:
        """Returns `pixel_accuracy`, the fraction of pixels of the same color."""
        return {"pixel_accuracy": float(np.mean(y_prime == reference))}

    def consistency_metrics(
        self, variables: Variables, y: np.ndarray, y_prime: np.ndarray
    ) -> dict[str, float]:
        """Returns `pixel_accuracy` of the palette's colors of y [N, …]."""
        return self.code_metrics(encoded(self, variables, y), y_prime)

    def _histogram(self) -> ColorHistogram:
        space = self.input_space
        return ColorHistogram(space.shape[-1], space.low, space.high, space.levels)
