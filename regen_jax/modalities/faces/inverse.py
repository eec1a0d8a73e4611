"""Reads the tracks of a face off its frames: the analytic inverse of the renderer.

Colors of neighboring materials are known, so each pixel of an anti-aliased edge says how
much of it each material covers. Areas and moments of such fractions give positions and half
axes to fractions of a pixel, from which the formulas of the renderer are solved.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from regen_jax.modalities.faces import renderer
from regen_jax.modalities.faces.face import CENTER, TRACK_LOW, Identity, rotate
from regen_jax.modalities.faces.shapes import coverage, ellipse
from regen_jax.modalities.faces.unmixing import (
    Region,
    fill_columns,
    material_fractions,
    measure,
    snap_fractions,
    window,
)

_POSE_STEPS = 5
_EYE_ROWS, _MOUTH_ROWS = slice(15, 30), slice(24, 42)
_COLUMNS = slice(11, 37)
"""Parts of a frame that hold eyes and mouth in every pose."""
_EYE_HEIGHT = renderer.EYE_Y - 2.6, renderer.EYE_Y + 2.8
_CLOSED_AREA = jnp.pi * (renderer.EYE_X_RADIUS + renderer.LASH)


class Pose(NamedTuple):
    """Shift of features of depth 1 in pixels, and roll in radians, f32[B, T]."""

    x: jax.Array
    y: jax.Array
    roll: jax.Array

    def local(self, rows: slice, depth: float = 1.0) -> tuple[jax.Array, jax.Array]:
        """Returns coordinates f32[B, T, H, W] of the pixels, relative to the head."""
        column = jnp.arange(_COLUMNS.start, _COLUMNS.stop) - CENTER[0]
        row = jnp.arange(rows.start, rows.stop)[:, None] - CENTER[1]
        x, y = rotate(column, row, -self.roll[..., None, None])
        shift_x, shift_y = (depth * s[..., None, None] for s in (self.x, self.y))
        return x - shift_x, y - shift_y


def read_tracks(identity: Identity, frames: jax.Array) -> jax.Array:
    """Returns the tracks of frames.

    Args:
      identity: as `portrait.read_identity` finds it, [B, …].
      frames: f32[B, T, SIZE, SIZE, 3] in [0, 255].

    Returns:
      f32[B, T, 7] within the bounds of `face.TRACKS`.
    """
    pose = read_pose(identity, frames)
    columns = [
        *_read_mouth(identity, frames, pose),
        _read_blink(identity, frames, pose),
        pose.x / renderer.YAW,
        pose.y / renderer.PITCH,
        pose.roll / renderer.ROLL,
    ]
    return jnp.clip(jnp.stack(columns, axis=-1), TRACK_LOW, 1.0)


def read_pose(identity: Identity, frames: jax.Array) -> Pose:
    """Finds the pose by the eyes, whose window follows them from the front view."""
    eyes = _eye_fractions(identity, frames)
    still = jnp.zeros(frames.shape[:2])

    def step(pose: Pose, _: None) -> tuple[Pose, None]:
        left, right = _both_eyes(eyes, pose)
        turn = jnp.arctan2(right.y - left.y, right.x - left.x)
        return Pose(
            jnp.clip((left.x + right.x) / 2, -3, 3),
            jnp.clip((left.y + right.y) / 2 - renderer.EYE_Y, -3, 3),
            jnp.clip(pose.roll + turn, -0.3, 0.3),
        ), None

    start = Pose(still, still, still)
    return jax.lax.scan(step, start, None, length=_POSE_STEPS)[0]


def read_eye_distance(identity: Identity, frames: jax.Array, pose: Pose) -> jax.Array:
    """Measures the distance of the eyes from the middle of the face, f32[B, T]."""
    left, right = _both_eyes(_eye_fractions(identity, frames), pose)
    return (right.x - left.x) / 2


def _both_eyes(fractions: jax.Array, pose: Pose) -> tuple[Region, Region]:
    """Measures the left and the right eye along the axes of the head."""
    x, y = pose.local(_EYE_ROWS)
    left, right = (
        measure(
            fractions * window(x, y, sides, _EYE_HEIGHT), _EYE_ROWS, _COLUMNS
        ).rotated(-pose.roll)
        for sides in ((-8.8, -0.8), (0.8, 8.8))
    )
    return left, right


def _read_blink(identity: Identity, frames: jax.Array, pose: Pose) -> jax.Array:
    """Finds how far eyes are closed, f32[B, T], by the area that is not skin."""
    x, y = pose.local(_EYE_ROWS)
    inside = window(x, y, (-8.8, 8.8), _EYE_HEIGHT)
    eyes = fill_columns(_eye_fractions(identity, frames) * inside)
    area = measure(eyes, _EYE_ROWS, _COLUMNS).area / 2
    height = area / _CLOSED_AREA - renderer.LASH
    return 1 - jnp.clip(height / renderer.EYE_Y_RADIUS, 0, 1)


def _eye_fractions(identity: Identity, frames: jax.Array) -> jax.Array:
    """Returns how much of the pixels around the eyes is not skin."""
    pixels = frames[:, :, _EYE_ROWS, _COLUMNS]
    colors = _colors(identity, "skin", "lashes", "white")
    return snap_fractions(sum(material_fractions(pixels, *colors)))


def read_mouth(
    identity: Identity, frames: jax.Array, pose: Pose, chin_drop: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Measures the mouth: half axes of the lips, and area of the opening, f32[B, T].

    Args:
      identity: of each clip.
      frames: f32[B, T, SIZE, SIZE, 3].
      pose: of each frame.
      chin_drop: f32[B, T], by which the chin is lower than where the mouth is closed.
    """
    pixels = frames[:, :, _MOUTH_ROWS, _COLUMNS]
    lips, opening = material_fractions(
        pixels, *_colors(identity, "skin", "lips", "inside")
    )
    width, height = (
        identity.length(name)[:, None, None, None]
        for name in ("head_width", "head_height")
    )
    x, y = pose.local(_MOUTH_ROWS, 0.0)
    face = ellipse(x, y, width - 1.2, height - 1.2 + chin_drop[..., None, None])
    x, y = pose.local(_MOUTH_ROWS)
    inside = coverage(face) * window(x, y, (-7.6, 7.6), (4.9, 18.0))
    covered = fill_columns(inside * snap_fractions(lips + opening))
    outer = measure(covered, _MOUTH_ROWS, _COLUMNS).rotated(-pose.roll)
    area = outer.area - jnp.sum(inside * snap_fractions(lips), axis=(-2, -1))
    return _half_axis(outer.xx), _half_axis(outer.yy), jnp.maximum(area, 0)


def _half_axis(variance: jax.Array) -> jax.Array:
    """Returns the half axis of an ellipse of some variance, without that of a pixel."""
    return jnp.sqrt(jnp.maximum(4 * variance - 1 / 3, 1e-2))


def _read_mouth(
    identity: Identity, frames: jax.Array, pose: Pose
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Finds jaw, lip width and lip rounding, f32[B, T] each.

    The opening of an area has half axes that are smaller than those of the lips by the
    thickness of a lip, which is the root of a quadratic equation.
    """

    def read(_: jax.Array, estimate: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        drop = renderer.CHIN_DROP * estimate[0]
        x_radius, y_radius, area = read_mouth(identity, frames, pose, drop)
        middle, difference = (x_radius + y_radius) / 2, (x_radius - y_radius) / 2
        lip = middle - jnp.sqrt(difference**2 + area / jnp.pi)
        lip = jnp.clip(lip, renderer.LIP, renderer.LIP * (1 + renderer.POUT))
        jaw = (y_radius - lip - renderer.CLOSED) / renderer.OPENING
        return jnp.clip(jaw, 0, 1), x_radius, lip

    # The second time with the chin where the jaw puts it.
    start = jnp.zeros(frames.shape[:2])
    jaw, x_radius, lip = jax.lax.fori_loop(0, 2, read, (start, start, start))
    rounding = (lip / renderer.LIP - 1) / renderer.POUT
    neutral = identity.length("mouth_size")[:, None] * renderer.MOUTH_X_RADIUS
    widened = (x_radius - lip) / (neutral * (1 - renderer.NARROWING * rounding))
    return jaw, (widened - 1) / renderer.WIDENING, rounding


def _colors(identity: Identity, *names: str) -> list[jax.Array]:
    """Returns colors of materials, f32[B or 1, 1, 1, 1, 3]."""
    colors = renderer.materials(identity.colors)
    return [colors[name].reshape(-1, 1, 1, 1, 3) for name in names]
