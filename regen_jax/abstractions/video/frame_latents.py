"""A clip as its first frame and a latent per frame, learned from frames alone."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from regen_jax.abstractions.bottlenecks.interface import Bottleneck
from regen_jax.abstractions.bottlenecks.kl import KL
from regen_jax.abstractions.latent_abstraction import LatentAbstraction
from regen_jax.interfaces import LossOutput, Variables
from regen_jax.networks.frame_codec import FrameDecoder, FrameEncoder
from regen_jax.random import fold_keys
from regen_jax.ranges import Count, Dtype, Natural
from regen_jax.spaces import (
    Array,
    Padded,
    Record,
    Value,
    length_mask,
    lengths,
    mask_padding,
)

# Numbers of the streams of an example's key.
_FRAMES, _NEXT = 1, 2


@dataclasses.dataclass(frozen=True)
class FrameLatents(LatentAbstraction):
    """Y′ is a Record of `picture`, the first frame, and `tracks`, a latent per frame.

    Encoder and decoder read the picture too, and latents pass a bottleneck, which leaves
    room for little but what moves. Steps train on a few frames of each clip. Bits per
    frame are those of a quantizer, such as `fsq`. Its `standardize` must be off: a few
    frames per step do not give the moments of a clip.

    Attributes:
      input_space: clips [T, H, W, C] with bounds.
      bottleneck: from latents to `tracks` and back.
      widths: channels of each level of the networks; each halves the resolution.
      num_blocks: residual blocks per level of the encoder.
      frames_per_clip: random frames of each clip that a step trains on.
      frames_at_once: frames that are encoded and decoded at once.
      dtype: compute dtype.
    """

    input_space: Array
    bottleneck: Bottleneck = dataclasses.field(default_factory=lambda: KL(8, 1e-4))
    widths: tuple[Count, ...] = (16, 32, 64)
    num_blocks: Natural = 1
    frames_per_clip: Count = 4
    frames_at_once: Count = 16
    dtype: Dtype = "float32"

    def __post_init__(self):
        super().__post_init__()
        space = self.input_space
        if not (isinstance(space, Array) and len(space.shape) == 4 and space.bounded):
            raise ValueError(
                "needs clips, an Array of frames, height, width, channels with bounds, "
                f"not {space}"
            )
        factor = 2 ** len(self.widths)
        if not self.widths or any(n % factor for n in space.shape[1:3]):
            raise ValueError(
                f"widths must have a level or more, {len(self.widths)} levels reduce the "
                f"resolution {factor} times, and that must divide {space.shape[1:3]}"
            )

    @property
    def output_space(self) -> Record:
        tracks = self.bottleneck.output_space(
            self._latent_shape, self.input_space.padded
        )
        return Record((("tracks", tracks), ("picture", self._frame_space)))

    @property
    def _latent_shape(self) -> tuple[int]:
        return (self.input_space.shape[0],)

    @property
    def _frame_space(self) -> Array:
        shape = self.input_space.shape[1:]
        return dataclasses.replace(self.input_space, shape=shape, padded=False)

    @property
    def _encoder(self) -> FrameEncoder:
        dtype = jnp.dtype(self.dtype)
        return FrameEncoder(
            self.widths, self.bottleneck.latent_dim, self.num_blocks, dtype
        )

    @property
    def _decoder(self) -> FrameDecoder:
        return FrameDecoder(self.widths, jnp.dtype(self.dtype))

    def init(self, rng: jax.Array, y: Value) -> Variables:
        encoder_rng, decoder_rng, bottleneck_rng = jax.random.split(rng, 3)
        frames, _ = self._frames(y)
        frames = frames[:, : self.frames_per_clip]
        latents, encoder = self._encoder.init_with_output(
            encoder_rng, frames, frames[:, 0]
        )
        values = jnp.zeros((*latents.shape[:2], self.bottleneck.value_dim))
        decoder = self._decoder.init(decoder_rng, values, frames[:, 0])
        state = self.bottleneck.init(
            bottleneck_rng, latents.reshape(-1, latents.shape[-1])
        )
        params = {"encoder": encoder["params"], "decoder": decoder["params"]}
        return {"params": params, self.bottleneck.collection: state}

    def loss(
        self, variables: Variables, keys: jax.Array, y: Value, train: bool
    ) -> LossOutput:
        """Returns the mean squared error of random frames in [-1, 1], and the bottleneck's.

        Evaluation draws frames too.
        """
        frames, mask = self._frames(y)
        picture = frames[:, 0]
        length = jnp.full(len(frames), frames.shape[1])
        length = length if mask is None else lengths(self.input_space, y)
        index = _random_indices(fold_keys(keys, _FRAMES), length, self.frames_per_clip)
        frames = jax.vmap(lambda frames, index: frames[index])(frames, index)
        latents = self._encoder.apply(
            self._params(variables, "encoder"), frames, picture
        )
        output = self.bottleneck.apply(
            self._state(variables), fold_keys(keys, _NEXT), latents, None, train
        )
        prediction = self._decoder.apply(
            self._params(variables, "decoder"), output.values, picture
        )
        error = jnp.square(prediction - frames).mean(axis=(1, 2, 3, 4))
        terms = {"reconstruction_loss": error, "bottleneck_loss": output.loss}
        return LossOutput(
            error + output.loss, output.metrics | terms, output.sums, output.per_example
        )

    def encode(self, variables: Variables, y: Value) -> Value:
        latents, mask = self._latents(variables, y)
        codes = self.bottleneck.encode(self._state(variables), latents, mask)
        tracks = self.bottleneck.pack(self.output_space.spaces["tracks"], codes, mask)
        frames = y.values if isinstance(y, Padded) else y
        return {"tracks": tracks, "picture": frames[:, 0]}

    def decode(self, variables: Variables, y_prime: Any) -> Value:
        space = self.output_space.spaces["tracks"]
        codes, mask = self.bottleneck.unpack(
            space, self._latent_shape, y_prime["tracks"]
        )
        values = self.bottleneck.decode(self._state(variables), codes)
        picture = self._frame_space.normalize(y_prime["picture"])
        params = self._params(variables, "decoder")
        frames = self._by_frames(
            lambda values: self._decoder.apply(params, values, picture), values
        )
        frames = self.input_space.denormalize(frames)
        if mask is None:
            return frames
        length = mask.sum(axis=1, dtype=jnp.int32)
        return Padded(mask_padding(frames, length), length)

    def _params(self, variables: Variables, network: str) -> Variables:
        return {"params": variables["params"][network]}

    def _frames(self, y: Value) -> tuple[jax.Array, jax.Array | None]:
        """Returns frames in [-1, 1] and the mask bool[B, T] of a padded clip."""
        if not isinstance(y, Padded):
            return self.input_space.normalize(y), None
        mask = length_mask(y.length, y.values.shape[1])
        return self.input_space.normalize(y.values), mask

    def _latents(
        self, variables: Variables, y: Value
    ) -> tuple[jax.Array, jax.Array | None]:
        """Returns latents [B, T, D] of all frames and their mask."""
        frames, mask = self._frames(y)
        picture, params = frames[:, 0], self._params(variables, "encoder")
        latents = self._by_frames(
            lambda frames: self._encoder.apply(params, frames, picture), frames
        )
        return latents, mask

    def _by_frames(
        self, function: Callable[[jax.Array], jax.Array], x: jax.Array
    ) -> jax.Array:
        """Applies a function of [B, F, ...] to `frames_at_once` frames at a time."""
        batch, number, *shape = x.shape
        size = min(self.frames_at_once, number)
        chunks = -(-number // size)
        filled = [(0, 0), (0, chunks * size - number), *[(0, 0)] * len(shape)]
        x = jnp.pad(x, filled).reshape(batch, chunks, size, *shape)
        y = jax.lax.map(function, x.swapaxes(0, 1)).swapaxes(0, 1)
        return y.reshape(batch, chunks * size, *y.shape[3:])[:, :number]


def _random_indices(keys: jax.Array, length: jax.Array, number: int) -> jax.Array:
    """Draws indices i32[B, number] below the length i32[B] of each example."""

    def draw(key: jax.Array, length: jax.Array) -> jax.Array:
        return jax.random.randint(key, (number,), 0, jnp.maximum(length, 1))

    return jax.vmap(draw)(keys, length)
