"""The parameters of a drawn face: what moves in each frame, and one picture of it."""

import dataclasses
import functools
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge

from regen_jax.interfaces import Abstraction, Variables
from regen_jax.modalities.faces.face import SIZE, TRACK_LOW, TRACKS
from regen_jax.modalities.faces.inverse import read_tracks
from regen_jax.modalities.faces.portrait import read_identity
from regen_jax.modalities.faces.renderer import render
from regen_jax.spaces import Array, Padded, Record, Value, mask_padding


@dataclasses.dataclass(frozen=True)
class FaceParameters(Abstraction):
    """Reads tracks and identity off frames, and draws frames from them.

    The analytic inverse of the renderer of `regen_jax.modalities.faces`, for clips that it
    drew. Y′ has `tracks`, those of `face.TRACKS` in [-1, 1], and `picture`, the first
    frame, from which decoding reads the identity.

    Attributes:
      input_space: clips of SIZE × SIZE pixels in RGB, padded.
      levels: values that each track can take, evenly spaced; tracks of a prior are rounded
        when they are decoded.
    """

    input_space: Array
    levels: Annotated[int, Ge(2)] = 256

    def __post_init__(self):
        super().__post_init__()
        space = self.input_space
        if (
            not isinstance(space, Array)
            or space.shape[1:] != (SIZE, SIZE, 3)
            or (space.low, space.high, space.padded) != (0, 255, True)
        ):
            raise ValueError(
                f"needs padded clips of {SIZE} × {SIZE} RGB pixels from 0 to 255, "
                f"not {space}"
            )

    @property
    def output_space(self) -> Record:
        space = self.input_space
        shape = (space.shape[0], len(TRACKS))
        step = 2 / (self.levels - 1)
        tracks = Array(shape, -1.0, 1.0, padded=True, step=step)
        picture = dataclasses.replace(space, shape=space.shape[1:], padded=False)
        return Record((("tracks", tracks), ("picture", picture)))

    def encode(self, variables: Variables, y: Any) -> Value:
        picture = y.values[:, 0]
        values = mask_padding(self.tracks(picture, y.values), y.length)
        return {"tracks": Padded(values, y.length), "picture": picture}

    def tracks(self, picture: jax.Array, clip: jax.Array) -> jax.Array:
        """Returns f32[B, T, 7] of clips f32[B, T, H, W, 3] of faces in pictures."""
        tracks = read_tracks(read_identity(picture), clip)
        return self._round(2 * (tracks - TRACK_LOW) / (1 - TRACK_LOW) - 1)

    def decode(self, variables: Variables, y_prime: Any) -> Value:
        values, length = y_prime["tracks"]
        unit = (self._round(values) + 1) / 2
        tracks = TRACK_LOW + (1 - TRACK_LOW) * unit
        clip = render(read_identity(y_prime["picture"]), tracks)
        return Padded(mask_padding(clip, length), length)

    def _round(self, values: jax.Array) -> jax.Array:
        """Rounds values in [-1, 1] to the levels."""
        steps = (self.levels - 1) / 2
        return jnp.round((values + 1) * steps) / steps - 1

    def code_metrics(self, y_prime: Any, reference: Any) -> dict[str, float]:
        """Returns `tracks_rmse`, and `jaw_rmse` of the jaw alone, in units of the range."""
        (values, length), (other, _) = y_prime["tracks"], reference["tracks"]
        valid = np.arange(values.shape[1]) < length[:, None]
        errors = np.square((values - other)[valid] / 2)
        jaw = errors[:, TRACKS.index("jaw")]
        return {
            "tracks_rmse": float(np.sqrt(np.mean(errors))),
            "jaw_rmse": float(np.sqrt(np.mean(jaw))),
        }

    def consistency_metrics(
        self, variables: Variables, y: Any, y_prime: Any
    ) -> dict[str, float]:
        """Returns `code_metrics` of the tracks that are read off y [N, …]."""
        encoded = _encoded(self, y_prime["picture"], y)
        return self.code_metrics(jax.device_get(encoded), y_prime)


@functools.partial(jax.jit, static_argnums=0)
def _encoded(abstraction: FaceParameters, picture: jax.Array, y: Padded) -> Any:
    """Returns the tracks of clips [N, …] of any dtype, one by one, for their memory."""

    def encode(pair: tuple[jax.Array, jax.Array]) -> jax.Array:
        picture, clip = (part.astype(jnp.float32)[None] for part in pair)
        return abstraction.tracks(picture, clip)[0]

    values = jax.lax.map(encode, (jnp.asarray(picture), jnp.asarray(y.values)))
    return {"tracks": Padded(mask_padding(values, y.length), y.length)}
