"""Motion of blocks between two frames, and frames whose pixels move on."""

import jax
import jax.numpy as jnp
import numpy as np

BLOCK = 8
"""Side of a block, in pixels, that moves as a whole."""
RADIUS = 4
"""Largest motion that is searched, in pixels per frame."""
_STILL = 1 / 255**2
"""Squared error per pixel and frame, of the range, that a motion must save to be one."""


@jax.jit
def block_motion(before: jax.Array, after: jax.Array) -> jax.Array:
    """Finds the motion of each block of the later of two frames f32[B, H, W, C] in [0, 1].

    By least squares over all shifts of up to `RADIUS` pixels, and to fractions of a pixel
    by a parabola through the errors beside the least.

    Returns:
      Pixels down and right, f32[B, rows, columns, 2]; blocks at the last rows and columns
      may be smaller.
    """
    side = 2 * RADIUS + 1
    pad = ((0, 0), (RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0))
    padded = jnp.pad(before, pad, mode="edge")
    grid = np.mgrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1]
    offsets = grid.reshape(2, -1).T

    def error_of(offset: jax.Array) -> jax.Array:
        # What moved down by d was d rows above.
        top, left = RADIUS - offset
        shifted = jax.lax.dynamic_slice(padded, (0, top, left, 0), after.shape)
        return _block_means(jnp.mean((after - shifted) ** 2, axis=-1))

    error = jnp.moveaxis(jax.lax.map(error_of, jnp.asarray(offsets)), 0, -1)
    best = jnp.argmin(error + _STILL * np.abs(offsets).max(axis=1), axis=-1)

    def error_at(index: jax.Array) -> jax.Array:
        return jnp.take_along_axis(error, index[..., None], axis=-1)[..., 0]

    motion = []
    for axis, step in enumerate((side, 1)):
        whole = jnp.asarray(offsets[:, axis], jnp.float32)[best]
        inside = jnp.abs(whole) < RADIUS
        below, center, above = (
            error_at(best + shift * inside) for shift in (-step, 0, step)
        )
        curvature = below - 2 * center + above
        is_minimum = inside & (jnp.minimum(below, above) >= center)
        is_minimum &= curvature > _STILL
        curvature = jnp.where(is_minimum, curvature, 1)
        # Errors are not negative, and so neither is the parabola at its minimum.
        largest = jnp.sqrt(2 * center / curvature)
        fraction = jnp.clip((below - above) / (2 * curvature), -largest, largest)
        motion.append(whole + jnp.where(is_minimum, fraction, 0))
    return jnp.stack(motion, axis=-1)


@jax.jit
def moved_on(frames: jax.Array, motion: jax.Array, times: jax.Array) -> jax.Array:
    """Moves the pixels of frames on by a motion that varies smoothly from block to block.

    Args:
      frames: f32[B, H, W, C].
      motion: pixels per frame f32[B, rows, columns, 2], as `block_motion` returns it.
      times: f32[T], in frames.

    Returns:
      f32[B, T, H, W, C]; from outside a frame come the pixels at its border.
    """
    batch, height, width, _ = frames.shape
    velocity = jax.image.resize(motion, (batch, height, width, 2), "linear")
    grid = jnp.stack(jnp.mgrid[:height, :width], axis=-1)
    last = jnp.array([height - 1, width - 1], jnp.float32)

    def move(frame: jax.Array, velocity: jax.Array, time: jax.Array) -> jax.Array:
        place = jnp.clip(grid - time * velocity, 0, last)
        low = jnp.floor(place).astype(int)
        high = jnp.minimum(low + 1, last.astype(int))
        right = (place - low)[..., 1:]
        upper, lower = (
            (1 - right) * frame[rows, low[..., 1]] + right * frame[rows, high[..., 1]]
            for rows in (low[..., 0], high[..., 0])
        )
        down = (place - low)[..., :1]
        return (1 - down) * upper + down * lower

    over_times = jax.vmap(move, (None, None, 0))
    return jax.vmap(over_times, (0, 0, None))(frames, velocity, times)


def _block_means(values: jax.Array) -> jax.Array:
    """Averages f32[B, H, W] over blocks, f32[B, rows, columns]."""
    matrices = []
    for size in values.shape[1:]:
        members = np.arange(size) // BLOCK == np.arange(-(-size // BLOCK))[:, None]
        matrices.append(np.float32(members / members.sum(axis=1, keepdims=True)))
    return jnp.einsum(
        "rh,bhw,cw->brc", matrices[0], values, matrices[1], precision="highest"
    )
