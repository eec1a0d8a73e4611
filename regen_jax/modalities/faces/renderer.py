"""Draws frames of a face: ellipses with anti-aliased edges, from back to front.

Deterministic and differentiable. Features of the face shift with yaw and pitch by their
depth (parallax), and the head rolls about its center.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from regen_jax.modalities.faces.face import (
    CENTER,
    COLORS,
    SIZE,
    TRACKS,
    Identity,
    rotate,
)
from regen_jax.modalities.faces.shapes import box, coverage, ellipse

YAW, PITCH, ROLL = 1.6, 1.4, 0.12
"""Shift of a feature of depth 1 in pixels, and angle in radians, where a track is 1."""
BROW_Y, EYE_Y, NOSE_Y, MOUTH_Y = -5.6, -0.6, 3.3, 7.3
EYE_X_RADIUS, EYE_Y_RADIUS, LASH = 2.4, 1.75, 0.35
HAIR_DEPTH, NOSE_DEPTH = 0.35, 1.2
CLOSED, OPENING = 0.25, 3.0
"""Half the height of the mouth where it is closed, and what the jaw adds, in pixels."""
MOUTH_X_RADIUS, WIDENING, NARROWING = 4.0, 0.28, 0.42
LIP, POUT = 1.0, 0.9
"""Thickness of a lip in pixels, and by what fraction rounding adds to it."""
CHIN_DROP, LIP_DROP = 1.4, 0.7
"""By how much the jaw moves the chin in pixels, and the middle of the mouth, relative to
half its height."""
HAIR_SIDE, HAIR_TOP, HAIR_Y = 2.6, 2.4, -5.0
"""By how much hair is wider and higher than the head, and where its sides begin."""

_WHITE, _DARK = (250.0, 250.0, 248.0), (52.0, 10.0, 22.0)
_LASHES, _TEETH = (34.0, 24.0, 26.0), (246.0, 244.0, 236.0)


class Mouth(NamedTuple):
    """Half axes of the opening, and the thickness of lips, in pixels, f32[...]."""

    x_radius: jax.Array
    y_radius: jax.Array
    lip: jax.Array


def mouth(mouth_size, jaw, lip_width, lip_rounding) -> Mouth:
    """Returns the shape of the mouth of tracks f32[...]."""
    widened = 1 + WIDENING * lip_width
    narrowed = 1 - NARROWING * lip_rounding
    return Mouth(
        mouth_size * MOUTH_X_RADIUS * widened * narrowed,
        CLOSED + OPENING * jaw,
        LIP * (1 + POUT * lip_rounding),
    )


def materials(identity_colors: jax.Array, fixed: float = 1.0) -> dict[str, jax.Array]:
    """Returns the color of each material, f32[..., C].

    They are affine in the colors of an identity: without the fixed ones, 0 in place of 1,
    they are linear.

    Args:
      identity_colors: f32[..., 6, C], C 3 where `fixed` is not 0.
      fixed: factor of the colors that all faces share.
    """
    color = {name: identity_colors[..., k, :] for k, name in enumerate(COLORS)}
    channels = identity_colors.shape[-1]

    def constant(rgb: tuple[float, ...]) -> jax.Array:
        return fixed * jnp.array(rgb) if fixed else jnp.zeros(channels)

    return color | {
        "neck": 0.8 * color["skin"],
        "nose": 0.85 * color["skin"],
        "brows": 0.5 * color["hair"],
        "lashes": constant(_LASHES),
        "white": constant(_WHITE),
        "pupil": constant(_LASHES),
        "glint": constant(_WHITE),
        "inside": constant(_DARK),
        "teeth": constant(_TEETH),
    }


def render(identity: Identity, tracks: jax.Array) -> jax.Array:
    """Draws frames.

    Args:
      identity: of each clip, [B, …].
      tracks: f32[B, T, 7], in the order of `TRACKS`.

    Returns:
      f32[B, T, SIZE, SIZE, 3] in [0, 255], not rounded.
    """
    return composite(identity.geometry, tracks, materials(identity.colors))


def composite(
    geometry: jax.Array, tracks: jax.Array, colors: Mapping[str, jax.Array]
) -> jax.Array:
    """Draws frames in any materials.

    Args:
      geometry: of an `Identity`, f32[B, 6].
      tracks: f32[B, T, 7].
      colors: f32[B, C] or f32[C] by name, see `materials`.

    Returns:
      f32[B, T, SIZE, SIZE, C].
    """
    expanded = {
        name: color.reshape(-1, 1, 1, 1, color.shape[-1])
        for name, color in colors.items()
    }
    frames = expanded["background"]
    for name, alpha in _layers(geometry, tracks):
        frames = frames + alpha[..., None] * (expanded[name] - frames)
    return frames


def _layers(geometry: jax.Array, tracks: jax.Array) -> Iterator[tuple[str, jax.Array]]:
    """Yields material and coverage f32[B, T, SIZE, SIZE] of each layer, back to front."""
    lengths = Identity(geometry[:, None, None, None], geometry).length
    track = {name: tracks[..., k, None, None] for k, name in enumerate(TRACKS)}
    column, row = jnp.arange(SIZE) - CENTER[0], jnp.arange(SIZE)[:, None] - CENTER[1]
    x, y = rotate(column, row, -ROLL * track["roll"])

    def at(depth: float) -> tuple[jax.Array, jax.Array]:
        return x - depth * YAW * track["yaw"], y - depth * PITCH * track["pitch"]

    width, height = lengths("head_width"), lengths("head_height")
    yield "skin", coverage(ellipse(abs(x) - width + 0.2, y + 1, 1.2, 2.4))
    hair_y, radius = jnp.minimum(y - HAIR_Y, 0), height + HAIR_TOP + HAIR_Y
    hair = ellipse(x, hair_y, width + HAIR_SIDE, radius)
    yield "hair", coverage(jnp.maximum(hair, y - lengths("hair_length")))
    neck = jnp.maximum(box(column, -4.3, 4.3), box(row, 6, 22))
    yield "neck", coverage(neck)
    yield "shirt", coverage(ellipse(column, row - 28, 19.0, 11.0))
    below = height + CHIN_DROP * track["jaw"]
    head = ellipse(x, y, width, jnp.where(y > 0, below, height))
    yield "skin", coverage(head)
    front_x, front_y = at(HAIR_DEPTH)
    fringe = front_y - lengths("hairline") - 0.012 * front_x**2
    yield "hair", coverage(jnp.maximum(head - 0.3, fringe))

    x, y = at(1.0)
    eye_x = abs(x) - lengths("eye_distance")
    yield "brows", coverage(ellipse(eye_x, y - BROW_Y, 2.4, 0.65))
    yield from _eyes(eye_x, y - EYE_Y, x, 1 - track["blink"], lengths("eye_distance"))
    nose_x, nose_y = at(NOSE_DEPTH)
    yield "nose", coverage(ellipse(nose_x, nose_y - NOSE_Y, 1.5, 0.7))
    values = (track[name] for name in ("jaw", "lip_width", "lip_rounding"))
    yield from _mouth(x, y - MOUTH_Y, mouth(lengths("mouth_size"), *values))


def _eyes(
    x: jax.Array, y: jax.Array, across: jax.Array, opening: jax.Array, distance
) -> Iterator[tuple[str, jax.Array]]:
    """Yields the layers of both eyes: lashes, which are left where an eye is closed."""
    height = EYE_Y_RADIUS * opening
    yield "lashes", coverage(ellipse(x, y, EYE_X_RADIUS + LASH, height + LASH))
    open_part = jnp.clip(2 * height, 0, 1)
    white = open_part * coverage(ellipse(x, y, EYE_X_RADIUS, height + 0.01))
    yield "white", white
    yield "iris", white * coverage(ellipse(x, y, 1.5, 1.5))
    yield "pupil", white * coverage(ellipse(x, y, 0.75, 0.75))
    glint_x = jnp.where(across > 0, across - distance, across + distance) + 0.6
    yield "glint", 0.8 * white * coverage(ellipse(glint_x, y + 0.6, 0.45, 0.45))


def _mouth(x: jax.Array, y: jax.Array, shape: Mouth) -> Iterator[tuple[str, jax.Array]]:
    """Yields the layers of the mouth: lips, the opening, and teeth in it."""
    x_radius, y_radius, lip = shape
    y = y - LIP_DROP * y_radius
    yield "lips", coverage(ellipse(x, y, x_radius + lip, y_radius + lip))
    inside = coverage(ellipse(x, y, x_radius, y_radius))
    yield "inside", inside
    shown = inside * jnp.clip(y_radius - 0.8, 0, 1)
    teeth = ellipse(x, y + 0.52 * y_radius, 0.62 * x_radius, 0.28 * y_radius)
    yield "teeth", shown * coverage(teeth)
