"""Spectra of the sound of each frame of a clip."""

import dataclasses
from typing import Any

import jax.numpy as jnp

from regen_jax.interfaces import Abstraction, Variables
from regen_jax.modalities.audio.mel import log_mel, mel_filters
from regen_jax.modalities.audio.stft import check_sizes
from regen_jax.ranges import Count
from regen_jax.spaces import Array, Padded, Record, Space, Value, mask_padding

MEAN, SCALE = -6.0, 3.0
"""About those of log-mel magnitudes of speech, so that features have a scale near 1."""


@dataclasses.dataclass(frozen=True)
class FrameMel(Abstraction):
    """Turns sound that is cut into frames of a clip into log-mel features of each.

    A frame has `parts` spectra, whose windows are centered at equal distances from its
    beginning on and reach into neighboring frames. Of a Record, each field of sound is
    turned, and the others stay.

    Attributes:
      input_space: padded frames of samples in [-1, 1], or a Record with such a field.
      sample_rate: Hz.
      parts: spectra per frame.
      num_mels: bands per spectrum.
      n_fft: samples per window.
    """

    input_space: Space
    sample_rate: Count = 16_000
    parts: Count = 4
    num_mels: Count = 40
    n_fft: Count = 640

    invertible = False

    def __post_init__(self):
        super().__post_init__()
        sounds = [space for space in self._fields.values() if _is_sound(space)]
        if not sounds:
            raise ValueError(
                f"needs padded frames of samples in [-1, 1], not {self.input_space}"
            )
        for space in sounds:
            samples = space.shape[1]
            if samples % self.parts:
                raise ValueError(
                    f"parts {self.parts} does not divide the {samples} samples of a frame"
                )
            check_sizes(self.n_fft, samples // self.parts)
        mel_filters(self.sample_rate, self.n_fft, self.num_mels)

    @property
    def output_space(self) -> Space:
        fields = {n: self._features(space) for n, space in self._fields.items()}
        if isinstance(self.input_space, Record):
            return Record(tuple(fields.items()))
        return fields[""]

    def encode(self, variables: Variables, y: Any) -> Value:
        if not isinstance(self.input_space, Record):
            return self._encode(y)
        return {
            name: self._encode(y[name]) if _is_sound(space) else y[name]
            for name, space in self._fields.items()
        }

    @property
    def _fields(self) -> dict[str, Any]:
        space = self.input_space
        return space.spaces if isinstance(space, Record) else {"": space}

    def _features(self, space: Any) -> Any:
        if not _is_sound(space):
            return space
        return Array((space.shape[0], self.parts * self.num_mels), padded=True)

    def _encode(self, sound: Padded) -> Padded:
        values = mask_padding(sound.values, sound.length)
        batch, frames, samples = values.shape
        hop = samples // self.parts
        wave = values.reshape(batch, frames * samples)
        mel = log_mel(wave, self.sample_rate, self.n_fft, hop, self.num_mels)
        features = ((mel - MEAN) / SCALE).reshape(batch, frames, -1)
        return Padded(mask_padding(features, sound.length), jnp.asarray(sound.length))


def _is_sound(space: Any) -> bool:
    return (
        isinstance(space, Array)
        and len(space.shape) == 2
        and (space.low, space.high, space.padded) == (-1, 1, True)
    )
