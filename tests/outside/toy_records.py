"""A task whose X is a record, and an abstraction that gives one."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from regen_jax.interfaces import Abstraction, Task
from regen_jax.spaces import Array, Padded, Record, length_mask

NUMBER, FRAMES = 8, 4
LEVEL = Array((FRAMES, 1), 0.0, 1.0, padded=True)
PICTURE = Array((2, 2, 1), 0.0, 255.0, step=1.0)


@dataclasses.dataclass(frozen=True)
class Lamps(Task):
    """X is a picture and how bright it is in each frame, Y the clip that this makes."""

    x = Record((("level", LEVEL), ("picture", PICTURE)))
    y = dataclasses.replace(PICTURE, shape=(FRAMES, *PICTURE.shape), padded=True)

    def examples(self, split: str) -> list[dict]:
        return [self._example(index) for index in range(NUMBER)]

    def _example(self, index: int) -> dict:
        rng = np.random.default_rng(index)
        length = np.int32(1 + index % FRAMES)
        valid = np.arange(FRAMES)[:, None] < length
        level = np.where(valid, rng.uniform(size=LEVEL.shape), 0)
        level[0] = 1
        picture = rng.integers(0, 256, PICTURE.shape).astype(np.uint8)
        clip = (level[..., None, None] * picture).astype(np.uint8)
        x = {"level": Padded(level.astype(np.float32), length), "picture": picture}
        return {"x": x, "y": Padded(clip, length)}


@dataclasses.dataclass(frozen=True)
class MeanLevel(Abstraction):
    """The first frame, and the mean of each frame."""

    input_space: Array

    @property
    def output_space(self) -> Record:
        space = self.input_space
        tracks = Array((space.shape[0], 1), space.low, space.high, padded=True)
        picture = dataclasses.replace(space, shape=space.shape[1:], padded=False)
        return Record((("tracks", tracks), ("picture", picture)))

    def encode(self, variables, y):
        means = y.values.mean(axis=(2, 3))
        return {"tracks": Padded(means, y.length), "picture": y.values[:, 0]}

    def decode(self, variables, y_prime):
        tracks = y_prime["tracks"]
        scale = tracks.values / jnp.maximum(tracks.values[:, :1], 1)
        clip = scale[..., None, None] * y_prime["picture"][:, None]
        valid = length_mask(tracks.length, clip.shape[1])
        return Padded(jnp.where(valid[..., None, None, None], clip, 0), tracks.length)
