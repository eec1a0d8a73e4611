"""The trajectory and the appearance of the parts of a clip, found from frames alone."""

import dataclasses
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge

from regen_jax.interfaces import Example, HostFeature, Variables
from regen_jax.modalities.video import tracking
from regen_jax.ranges import Count, Natural
from regen_jax.spaces import Array, check_constant_length

PRESENCE, ROW, COLUMN, ROW_VELOCITY, COLUMN_VELOCITY, SCALE = range(6)
"""Channels of a part's state in a frame."""
_STATES = 6


@dataclasses.dataclass(frozen=True)
class Trajectory(HostFeature):
    """Describes a clip by where its parts are in each frame, and a picture of each.

    Y′ is f32[T + S, parts, S] in [-1, 1]. The first T rows are the states of the parts in
    each frame: whether it is there (1, or -1), the row and column of its center, both from
    -1 to 1 over the frame, their velocities in quarters of the frame's side per frame, and
    its scale, from -1 to 1 for a root mean squared radius of 0 to half the side; the other
    channels are 0. The last S rows are the picture of each part, S x S pixels.

    Parts are bright on black, and ordered from left to right in the first frame; see
    `modalities.video.tracking` for how they are found. A rule draws them again, so that Y′
    determines a clip exactly whose parts are rigid, move by whole pixels, fit into the
    picture, and do not overlap in the frame that the pictures are taken from. Of other
    clips, Y′ loses

    - changes of a part's picture other than those of its size,
    - parts beyond the number `parts`, and
    - pixels below the threshold where two parts are near each other.

    Attributes:
      input_space: clips [T, H, W, 1] with bounds.
      parts: the most parts.
      side: S, height and width of a part's picture in pixels; 0 for half of the height.
      threshold: level of a pixel from which it belongs to a part, above the lower bound.
    """

    input_space: Array
    parts: Count = 2
    side: Natural = 0
    threshold: Annotated[float, Ge(1)] = 32.0

    invertible = True

    def __post_init__(self):
        super().__post_init__()
        space = self.input_space
        check_constant_length(space)
        if not (
            isinstance(space, Array) and space.bounded and len(space.shape) == 4
        ) or (space.shape[-1] != 1):
            raise ValueError(
                f"needs an Array of clips with bounds [T, H, W, 1], not {space}"
            )
        if self.picture_side < _STATES:
            raise ValueError(
                f"side must be at least {_STATES}, the values of a state, not "
                f"{self.picture_side}"
            )
        if self.threshold > space.peak:
            raise ValueError(
                f"threshold must be at most the range {space.peak:g} of pixels, not "
                f"{self.threshold:g}"
            )

    @property
    def picture_side(self) -> int:
        """Height and width of the picture of a part."""
        return self.side or self.input_space.shape[1] // 2

    @property
    def output_space(self) -> Array:
        frames, side = self.input_space.shape[0], self.picture_side
        return Array((frames + side, self.parts, side), -1.0, 1.0)

    def extract(self, value: np.ndarray, metadata: Example) -> np.ndarray:
        space, side = self.input_space, self.picture_side
        frames, height, width, _ = space.shape
        clip = np.asarray(value, np.float32)[..., 0] - space.low
        tracks = tracking.track(clip, self.parts, self.threshold, side)
        y_prime = np.zeros(self.output_space.shape, np.float32)
        y_prime[:frames, :, PRESENCE] = -1
        y_prime[frames:] = -1
        for part, track in enumerate(tracks):
            state = y_prime[:frames, part]
            state[:, PRESENCE] = np.where(track.present, 1, -1)
            size = np.array([height, width], np.float32)
            state[:, ROW : COLUMN + 1] = 2 * track.centers / (size - 1) - 1
            velocity = np.gradient(track.centers, axis=0) if frames > 1 else 0
            state[:, ROW_VELOCITY : COLUMN_VELOCITY + 1] = 4 * velocity / size
            state[:, SCALE] = 4 * track.radii / height - 1
            y_prime[frames:, part] = 2 * track.picture / space.peak - 1
        return np.clip(y_prime, -1, 1)

    def decode(self, variables: Variables, y_prime: jax.Array) -> jax.Array:
        """Draws the pictures at their centers and scales; the brightest part shows.

        Values between pixels are interpolated linearly. Velocities are not read.
        """
        space = self.input_space
        frames, height, width, _ = space.shape
        states_BxTxPxK = y_prime[:, :frames]
        pictures_BxPxSxS = jnp.moveaxis(y_prime[:, frames:], 2, 1)
        pictures_BxPxSxS = (pictures_BxPxSxS + 1) * (space.peak / 2)
        # Half a level lower, as rounding moves values.
        middle_BxPx2, radius_BxP = _moments(pictures_BxPxSxS, self.threshold - 0.5)
        radius = (states_BxTxPxK[..., SCALE] + 1) * (height / 4)
        ratio_BxTxP = radius_BxP[:, None] / jnp.maximum(radius, 0.5)

        def weights(axis: int, size: int) -> jax.Array:
            """Returns f32[B, T, P, size, S], of each picture's row in each frame's."""
            center = (states_BxTxPxK[..., ROW + axis] + 1) * ((size - 1) / 2)
            offset = jnp.arange(size) - center[..., None]
            place = (
                middle_BxPx2[:, None, :, axis, None] + offset * ratio_BxTxP[..., None]
            )
            distance = place[..., None] - jnp.arange(self.picture_side)
            return jnp.maximum(1 - jnp.abs(distance), 0)

        drawn = jnp.einsum(
            "btphs,bpsr,btpwr->btphw",
            weights(0, height),
            pictures_BxPxSxS,
            weights(1, width),
        )
        is_present = states_BxTxPxK[..., PRESENCE, None, None] > 0
        frames_BxTxHxW = jnp.max(jnp.where(is_present, drawn, 0), axis=2)
        return space.low + jnp.clip(frames_BxTxHxW, 0, space.peak)[..., None]

    def code_metrics(
        self, y_prime: np.ndarray, reference: np.ndarray
    ) -> dict[str, float]:
        """Returns `parts_accuracy`, the fraction of clips with as many parts."""
        number, other = map(self._num_parts, (y_prime, reference))
        return {"parts_accuracy": float(np.mean(number == other))}

    def consistency_metrics(
        self, variables: Variables, y: np.ndarray, y_prime: np.ndarray
    ) -> dict[str, float]:
        """Returns `parts_accuracy` and `center_error` of the y′ of y [N, …].

        `center_error` is the mean distance in pixels of centers to those asked for, over
        the parts of the clips that have as many.
        """
        drawn = np.stack([self.extract(clip, {}) for clip in y])
        values = self.code_metrics(drawn, y_prime)
        frames, height, width, _ = self.input_space.shape
        size = np.array([height - 1, width - 1]) / 2
        states, asked = drawn[:, :frames], np.asarray(y_prime)[:, :frames]
        both = (states[..., PRESENCE] > 0) & (asked[..., PRESENCE] > 0)
        both &= (self._num_parts(drawn) == self._num_parts(y_prime))[:, None, None]
        if both.any():
            difference = (states - asked)[..., ROW : COLUMN + 1] * size
            distance = np.linalg.norm(difference, axis=-1)
            values["center_error"] = float(distance[both].mean())
        return values

    def _num_parts(self, y_prime: np.ndarray) -> np.ndarray:
        """Returns how many parts are in half of the frames or more, i64[N]."""
        presence = np.asarray(y_prime)[:, : self.input_space.shape[0], :, PRESENCE]
        return np.sum(np.mean(presence > 0, axis=1) >= 0.5, axis=-1)


def _moments(
    pictures_BxPxSxS: jax.Array, threshold: float
) -> tuple[jax.Array, jax.Array]:
    """Returns centers f32[B, P, 2] and radii f32[B, P], as `tracking.moments` does."""
    mass = jnp.where(pictures_BxPxSxS >= threshold, pictures_BxPxSxS, 0)
    total = jnp.maximum(mass.sum(axis=(2, 3)), 1e-3)
    cells = jnp.arange(mass.shape[2])
    rows, columns = mass.sum(axis=3), mass.sum(axis=2)
    center = jnp.stack([(rows @ cells) / total, (columns @ cells) / total], axis=-1)
    squares = [
        jnp.sum(side * (cells - center[..., axis, None]) ** 2, axis=-1)
        for axis, side in enumerate((rows, columns))
    ]
    return center, jnp.sqrt((squares[0] + squares[1]) / total)
