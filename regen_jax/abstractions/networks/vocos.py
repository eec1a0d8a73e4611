"""Log-mel frames of waves to latents by ConvNeXt blocks, and back to waves by Vocos."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from regen_jax.abstractions.networks.interface import Networks
from regen_jax.modalities.audio import segments
from regen_jax.modalities.audio.frame_options import FrameOptions
from regen_jax.modalities.audio.mel import FLOOR, log_mel, mel_filters
from regen_jax.networks.vocos import (
    StridedDecoder,
    StridedEncoder,
    Vocos,
    VocosSize,
)
from regen_jax.random import fold_keys
from regen_jax.ranges import Count
from regen_jax.spaces import Array, Padded, Space, Value, length_mask, lengths

# Numbers of the streams of an example's key.
_SEGMENT, _NEXT = 1, 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class VocosNetworks(VocosSize, FrameOptions, Networks):
    """Waves [N] to latents [N / (stride * hop)]; see `regen_jax.networks.vocos`.

    A padded wave has ceil(n / (stride * hop)) latents, as far as they touch it.

    Attributes:
      num_layers: ConvNeXt blocks of the encoder, and of the decoder.
      stride: frames per latent.
      num_mels: mel bands that the encoder reads.
    """

    num_layers: Count = 3
    stride: Count = 2
    num_mels: Count = 80

    def __post_init__(self):
        super().__post_init__()
        if self.n_fft % 2 or self.n_fft % self.hop or self.n_fft < 3 * self.hop:
            raise ValueError(
                "n_fft must be even and a multiple of hop, 3 times it or more, not "
                f"{self.n_fft} with {self.hop}"
            )
        if self.segment % self.stride:
            raise ValueError(
                f"segment must be a multiple of stride {self.stride}, or 0, "
                f"not {self.segment}"
            )
        mel_filters(self.sample_rate, self.n_fft, self.num_mels)

    def check(self, space: Space) -> None:
        if not isinstance(space, Array) or len(space.shape) != 1:
            raise ValueError(
                f"networks 'vocos' need waves, an Array of samples, not {space}"
            )
        if space.shape[0] % self._samples:
            raise ValueError(
                f"stride {self.stride} times hop {self.hop} does not divide the samples "
                f"of {space}"
            )

    def latent_shape(self, space: Array) -> tuple[int]:
        return (space.shape[0] // self._samples,)

    def padded(self, space: Array) -> bool:
        return space.padded

    def mask(self, space: Array, y: Value) -> jax.Array | None:
        if not isinstance(y, Padded):
            return None
        number = -(-y.length // self._samples)
        return length_mask(number, y.values.shape[1] // self._samples)

    def encoder(self, space: Array, latent_dim: int) -> StridedEncoder:
        dtype = jnp.dtype(self.dtype)
        return StridedEncoder(
            self.width, self.num_layers, self.stride, latent_dim, dtype
        )

    def decoder(self, space: Array) -> StridedDecoder:
        return StridedDecoder(self.stride, self.vocos(self.n_fft, self.hop))

    @property
    def last_layer(self) -> tuple[str, ...]:
        return "vocos", *Vocos.last_layer

    def preprocess(self, space: Array, y: Value) -> jax.Array:
        """Returns log-mel frames f32[B, T, num_mels].

        From the floor to log 1, they are scaled to [-2, 2].
        """
        wave = y
        if isinstance(y, Padded):
            wave = jnp.where(length_mask(y.length, y.values.shape[1]), y.values, 0)
        frames = log_mel(wave, self.sample_rate, self.n_fft, self.hop, self.num_mels)
        return 2 - 4 * frames / math.log(FLOOR)

    def postprocess(
        self, space: Array, prediction: jax.Array, mask: jax.Array | None
    ) -> Value:
        """Returns waves within the bounds of the space, as long as the latents."""
        wave = jnp.clip(prediction, space.low, space.high)
        if mask is None:
            return wave
        length = mask.sum(axis=1, dtype=jnp.int32) * self._samples
        return Padded(jnp.where(length_mask(length, wave.shape[1]), wave, 0), length)

    def random_segment(
        self, space: Array, keys: jax.Array, y: Value
    ) -> tuple[Value, jax.Array]:
        """Draws `segment` frames, which begin where a latent does."""
        next_keys = fold_keys(keys, _NEXT)
        num_samples = self.segment * self.hop
        if not 0 < num_samples < space.shape[0]:
            return y, next_keys
        length = lengths(space, y)
        number, size = -(-length // self._samples), self.segment // self.stride
        start = segments.starts(fold_keys(keys, _SEGMENT), number, size) * self._samples
        if not isinstance(y, Padded):
            return segments.cut(y, start, num_samples), next_keys
        values = segments.cut(y.values, start, num_samples)
        return Padded(values, jnp.clip(length - start, 0, num_samples)), next_keys

    @property
    def _samples(self) -> int:
        """Samples per latent."""
        return self.stride * self.hop
