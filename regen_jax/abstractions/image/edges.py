"""Edge maps of images: a sketch, which the decoder fills.

Canny, "A Computational Approach to Edge Detection" (IEEE TPAMI 8, 1986): a smoothed
gradient, thinned across the edge and traced along it by two thresholds. Of several
channels, each pixel takes the gradient of the one that changes most, as OpenCV does.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.abstractions.image.consistency import encoded
from regen_jax.errors import UserError, quote
from regen_jax.interfaces import Abstraction, Variables
from regen_jax.metrics.image import edge_f1
from regen_jax.ranges import NonNegative, PositiveFraction
from regen_jax.spaces import Array, check_constant_length

EDGE, NO_EDGE = "#", "."
"""Pixels of an edge map as text."""

_TRUNCATE = 4.0
"""Standard deviations at which the Gaussian ends."""
_TIE = 1e-5
"""Gradients that differ by less are equal; a level of 8 bits makes 5e-4."""


@dataclasses.dataclass(frozen=True)
class Edges(Abstraction):
    """Marks the pixels of Canny edges with 1, others with 0.

    Gradients are per pixel, in units of the range of values: a sharp edge between black
    and white has 0.5 without smoothing and about 0.3 with a `sigma` of 1. An edge is one
    pixel wide, also between two equal pixels. Beyond its border an image goes on with its
    border pixels.

    Attributes:
      input_space: a bounded Array of images [H, W, channels] of any size.
      sigma: standard deviation of the Gaussian that smooths, in pixels; 0 for none.
      low_threshold: least gradient of an edge's pixels.
      high_threshold: least gradient of one pixel at least of each edge, whose pixels touch
        one another, also by a corner.
    """

    input_space: Array
    sigma: NonNegative = 1.0
    low_threshold: PositiveFraction = 0.05
    high_threshold: PositiveFraction = 0.1

    invertible = False
    human_editable = True

    def __post_init__(self):
        check_constant_length(self.input_space)
        super().__post_init__()
        space = self.input_space
        if not (isinstance(space, Array) and space.bounded and len(space.shape) == 3):
            raise ValueError(
                f"needs an Array of images with bounds [H, W, channels], not {space}"
            )
        if self.low_threshold > self.high_threshold:
            raise ValueError(
                f"low_threshold {self.low_threshold} exceeds high_threshold "
                f"{self.high_threshold}"
            )

    @property
    def output_space(self) -> Array:
        height, width, _ = self.input_space.shape
        return Array((height, width, 1), 0.0, 1.0, step=1.0)

    def encode(self, variables: Variables, y: jax.Array) -> jax.Array:
        space = self.input_space
        image = (y - space.low) / (space.high - space.low)
        gradient_y, gradient_x = _gradient(_smooth(image, self.sigma))
        magnitude = jnp.sqrt(gradient_y**2 + gradient_x**2)
        channel = jnp.argmax(magnitude, axis=-1, keepdims=True)
        gradient_y, gradient_x, magnitude = (
            jnp.take_along_axis(values, channel, axis=-1)[..., 0]
            for values in (gradient_y, gradient_x, magnitude)
        )
        peaks = _is_peak(magnitude, gradient_y, gradient_x)
        edges = _trace(
            peaks & (magnitude >= self.low_threshold),
            peaks & (magnitude >= self.high_threshold),
        )
        return edges[..., None].astype(jnp.float32)

    def code_metrics(
        self, y_prime: np.ndarray, reference: np.ndarray
    ) -> dict[str, float]:
        """Returns `edge_f1`, with a tolerance of a pixel."""
        return {"edge_f1": edge_f1(y_prime[..., 0] >= 0.5, reference[..., 0] >= 0.5)}

    def consistency_metrics(
        self, variables: Variables, y: np.ndarray, y_prime: np.ndarray
    ) -> dict[str, float]:
        """Returns `edge_f1` of the edges of y [N, …]."""
        return self.code_metrics(encoded(self, variables, y), y_prime)

    def to_text(self, y_prime: np.ndarray) -> str:
        """Returns a line for each row f32[H, W, 1], with `#` for values of 0.5 or more."""
        rows = np.where(np.asarray(y_prime)[..., 0] >= 0.5, EDGE, NO_EDGE)
        return "\n".join("".join(row) for row in rows) + "\n"

    def from_text(self, text: str) -> np.ndarray:
        """Returns the edge map f32[H, W, 1] of a text.

        Raises:
          UserError: the text has another number of lines or characters, or others than
            `#` and `.`.
        """
        height, width, _ = self.output_space.shape
        lines = text.strip().splitlines()
        if len(lines) != height:
            raise UserError(f"an edge map has {height} lines here, not {len(lines)}")
        for number, line in enumerate(lines, 1):
            if len(line) != width or set(line) - {EDGE, NO_EDGE}:
                raise UserError(
                    f"line {number} of the edge map must be {width} characters {EDGE} or "
                    f"{NO_EDGE}, not {quote(line)}"
                )
        rows = [[character == EDGE for character in line] for line in lines]
        return np.array(rows, np.float32)[..., None]


def _smooth(image: jax.Array, sigma: float) -> jax.Array:
    """Convolves [B, H, W, C] with a Gaussian along both axes."""
    if not sigma:
        return image
    radius = math.ceil(_TRUNCATE * sigma)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps = taps / taps.sum()
    return _correlate(_correlate(image, taps, axis=1), taps, axis=2)


def _gradient(image: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns derivatives of [B, H, W, C] along H and W, per pixel, by Sobel's filters."""
    across, along = np.array([0.25, 0.5, 0.25]), np.array([-0.5, 0.0, 0.5])
    gradient_y = _correlate(_correlate(image, across, axis=2), along, axis=1)
    gradient_x = _correlate(_correlate(image, across, axis=1), along, axis=2)
    return gradient_y, gradient_x


def _correlate(image: jax.Array, taps: np.ndarray, axis: int) -> jax.Array:
    """Correlates [B, H, W, C] with an odd number of taps; borders are repeated."""
    radius, size = len(taps) // 2, image.shape[axis]
    widths = [(radius, radius) if i == axis else (0, 0) for i in range(image.ndim)]
    padded = jnp.pad(image, widths, mode="edge")
    return sum(
        float(tap) * jax.lax.slice_in_dim(padded, start, start + size, axis=axis)
        for start, tap in enumerate(taps)
    )


def _is_peak(
    magnitude: jax.Array, gradient_y: jax.Array, gradient_x: jax.Array
) -> jax.Array:
    """Returns whether a pixel [B, H, W] is the peak across its edge, bool[B, H, W].

    The gradient is rounded to the direction of one of the eight neighbors. Of two equal
    pixels the peak is the lower one, or the right one in a row, whatever rounding does.
    """
    padded = jnp.pad(magnitude, ((0, 0), (1, 1), (1, 1)))
    height, width = magnitude.shape[1:]

    def neighbor(down: int, right: int) -> jax.Array:
        return padded[:, 1 + down : 1 + down + height, 1 + right : 1 + right + width]

    def is_peak(down: int, right: int) -> jax.Array:
        before, after = neighbor(-down, -right), neighbor(down, right)
        return (magnitude >= before - _TIE) & (magnitude > after + _TIE)

    steep, size_y, size_x = math.tan(math.pi / 8), abs(gradient_y), abs(gradient_x)
    return jnp.select(
        [
            size_y <= steep * size_x,
            size_x <= steep * size_y,
            gradient_y * gradient_x > 0,
        ],
        [is_peak(0, 1), is_peak(1, 0), is_peak(1, 1)],
        is_peak(1, -1),
    )


def _trace(weak: jax.Array, strong: jax.Array) -> jax.Array:
    """Returns the pixels of `weak` that pixels of `weak` join to one of `strong`.

    Both are bool[B, H, W], and `strong` is among `weak`.
    """

    def grow(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        edges, _ = carry
        grown = weak & jax.lax.reduce_window(
            edges, False, jax.lax.bitwise_or, (1, 3, 3), (1, 1, 1), "SAME"
        )
        return grown, jnp.any(grown != edges)

    edges, _ = jax.lax.while_loop(
        lambda carry: carry[1], grow, (strong, jnp.array(True))
    )
    return edges
