"""What a drawn face is made of: an identity that stays, and tracks that move.

Lengths are in pixels of the frame of `SIZE` pixels; x goes to the right, y downwards,
from the center of the head.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

SIZE = 48
"""Height and width of a frame in pixels."""
RATE = 25
"""Frames per second."""
CENTER = (23.5, 22.5)
"""Column and row of the head's center, about which it rolls."""

TRACKS = ("jaw", "lip_width", "lip_rounding", "blink", "yaw", "pitch", "roll")
"""What moves. Jaw, rounding and blink are in [0, 1], the others in [-1, 1]; 0 is the
neutral face: mouth closed, eyes open, seen from the front."""
TRACK_LOW = np.array([0, -1, 0, 0, -1, -1, -1], np.float32)

GEOMETRY = {
    "head_width": (10.5, 11.8),
    "head_height": (14.3, 15.4),
    "hairline": (-11.2, -10.0),
    "hair_length": (-2.5, 15.0),
    "eye_distance": (4.5, 5.2),
    "mouth_size": (0.9, 1.1),
}
"""Ranges of what distinguishes the shape of faces. The first two are half axes of the
head, `hairline` and `hair_length` are where hair ends in front and at the sides, and
`eye_distance` is that of an eye from the middle."""
COLORS = ("background", "hair", "shirt", "skin", "iris", "lips")
"""Colors that distinguish faces. Brows, nose and neck are shades of them."""

_SKIN = (
    (244, 212, 186),
    (232, 190, 158),
    (208, 160, 124),
    (170, 122, 90),
    (126, 86, 64),
)
_HAIR = ((34, 28, 30), (62, 40, 30), (104, 66, 38), (168, 84, 44), (206, 168, 92))
_IRIS = ((70, 110, 160), (74, 120, 80), (96, 64, 40), (56, 40, 36))
_BACKGROUND = ((188, 214, 232), (204, 226, 204), (214, 206, 234), (176, 216, 214))


class Identity(NamedTuple):
    """What stays of a face.

    Attributes:
      geometry: f32[..., 6], in the order of `GEOMETRY`.
      colors: f32[..., 6, 3] in [0, 255], in the order of `COLORS`.
    """

    geometry: jax.Array
    colors: jax.Array

    def length(self, name: str) -> jax.Array:
        """Returns one number of the geometry, f32[...]."""
        return self.geometry[..., list(GEOMETRY).index(name)]

    def color(self, name: str) -> jax.Array:
        """Returns one color, f32[..., 3]."""
        return self.colors[..., COLORS.index(name), :]


def draw_identity(random: np.random.RandomState) -> Identity:
    """Draws the identity of one face at random, within the ranges of `GEOMETRY`."""
    ranges = np.array(list(GEOMETRY.values()))
    geometry = random.uniform(ranges[:, 0], ranges[:, 1])

    def near(palette: tuple[tuple[int, int, int], ...], spread: float) -> np.ndarray:
        color = np.array(palette[random.randint(len(palette))], float)
        return color + random.uniform(-spread, spread, 3)

    # A little of the light is common to all channels, so that shades stay natural.
    skin = near(_SKIN, 4) * random.uniform(0.94, 1.02)
    colors = [
        near(_BACKGROUND, 10),
        near(_HAIR, 6),
        random.uniform(40, 200, 3),
        skin,
        near(_IRIS, 8),
        0.35 * skin + 0.65 * random.uniform((176, 40, 56), (204, 66, 86)),
    ]
    return Identity(
        geometry.astype(np.float32), np.clip(colors, 8, 250).astype(np.float32)
    )


def rotate(x: jax.Array, y: jax.Array, angle: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Rotates points by an angle in radians, from x towards y."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return cos * x - sin * y, sin * x + cos * y
