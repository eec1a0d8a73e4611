"""Frames predicted by rules, the baselines of models that predict them."""

import math

import numpy as np

from regen_jax.modalities.video.block_motion import BLOCK, block_motion


def copy_last(given: np.ndarray, num_frames: int) -> np.ndarray:
    """Predicts that nothing moves: repeats the last frame of u8[N, T, H, W, C]."""
    return np.repeat(given[:, -1:], num_frames, axis=1)


def linear_motion(given: np.ndarray, num_frames: int) -> np.ndarray:
    """Predicts that each block moves on as between the last two frames.

    The motion of blocks of 8 x 8 pixels is found by least squares over shifts of up to 4
    pixels, to fractions of a pixel by a parabola through the neighboring errors. Blocks
    of the last frame are laid where they are after 1, 2, … frames, faster ones on slower
    ones; pixels that no block covers have the value of the nearest covered one.

    Args:
      given: u8[N, T, H, W, C], T of 2 or more; of one frame, it is repeated.
      num_frames: to predict.

    Returns:
      u8[N, num_frames, H, W, C].
    """
    if given.shape[1] < 2:
        return copy_last(given, num_frames)
    before, after = (given[:, i].astype(np.float32) / 255 for i in (-2, -1))
    velocities = np.asarray(block_motion(before, after))
    predicted = [
        _moved(frame.astype(np.float32), velocity, time)
        for frame, velocity in zip(given[:, -1], velocities, strict=True)
        for time in range(1, num_frames + 1)
    ]
    rounded = np.clip(np.rint(predicted), 0, 255).astype(np.uint8)
    return rounded.reshape(len(given), num_frames, *given.shape[2:])


def _moved(frame: np.ndarray, velocity: np.ndarray, time: int) -> np.ndarray:
    """Returns a frame f32[H, W, C] whose blocks have moved for a time, in frames."""
    shape = frame.shape[:2]
    result, covered = frame.copy(), np.zeros(shape, bool)
    speeds = np.hypot(*np.moveaxis(velocity, -1, 0))
    for number in np.argsort(speeds, axis=None, kind="stable"):
        block = np.unravel_index(number, speeds.shape)
        shift = time * velocity[block]
        rows, columns = (
            np.arange(
                max(0, math.ceil(b * BLOCK + d - 0.5)),
                min(n, math.ceil(min(n, (b + 1) * BLOCK) + d - 0.5)),
            )
            for b, d, n in zip(block, shift, shape, strict=True)
        )
        if len(rows) and len(columns):
            place = np.ix_(rows, columns)
            result[place] = _interpolated(frame, rows - shift[0], columns - shift[1])
            covered[place] = True
    if covered.all():
        return result
    # Here, as it takes a fifth of a second, and all commands import this module.
    from scipy import ndimage

    nearest = ndimage.distance_transform_edt(
        ~covered, return_distances=False, return_indices=True
    )
    return result[tuple(nearest)]


def _interpolated(
    frame: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Interpolates f32[H, W, C] linearly at rows [R] and columns [S], f32[R, S, C]."""
    for axis, places in ((0, rows), (1, columns)):
        last = frame.shape[axis] - 1
        places = np.clip(places, 0, last)
        low = np.minimum(np.floor(places).astype(int), last)
        weight = (places - low).astype(np.float32)
        weight = weight.reshape(-1, *[1] * (frame.ndim - 1 - axis))
        high = np.minimum(low + 1, last)
        frame = (1 - weight) * frame.take(low, axis) + weight * frame.take(high, axis)
    return frame
