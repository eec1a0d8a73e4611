"""Log-mel spectrograms of waves, inverted by Griffin-Lim."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np

from regen_jax.interfaces import Abstraction, Variables
from regen_jax.modalities.audio.frame_options import FrameOptions, check_wave
from regen_jax.modalities.audio.griffin_lim import griffin_lim, mel_to_magnitude
from regen_jax.modalities.audio.mel import FLOOR, log_mel, mel_filters
from regen_jax.modalities.audio.stft import check_sizes
from regen_jax.ranges import Count, Rate
from regen_jax.spaces import Array, Padded, Value, length_mask


@dataclasses.dataclass(frozen=True)
class Mel(FrameOptions, Abstraction):
    """Natural log of mel magnitudes, one frame per `hop` samples.

    A padded wave of n samples has ceil(n / hop) frames, and is decoded to
    ceil(n / hop) * hop samples.

    Attributes:
      input_space: bounded waves [N] or [N, 1]; `hop` divides N.
      num_mels: bands from 0 Hz to half the sample rate.
      iterations: of Griffin-Lim, when decoding.
      momentum: of Griffin-Lim; 0 is the classic algorithm.
    """

    input_space: Array
    num_mels: Count = 80
    iterations: Count = 32
    momentum: Rate = 0.99

    def __post_init__(self):
        super().__post_init__()
        check_wave(self.input_space, bounded=True)
        check_sizes(self.n_fft, self.hop)
        num_samples = self.input_space.shape[0]
        if num_samples % self.hop:
            raise ValueError(
                f"hop {self.hop} does not divide the {num_samples} samples of a wave"
            )
        mel_filters(self.sample_rate, self.n_fft, self.num_mels)

    @property
    def output_space(self) -> Array:
        """Frames of log-mel, from the floor to the loudest steady tone within bounds.

        Only sounds with several strong overtones in one band are louder; they are clipped.
        """
        filters = np.pad(
            mel_filters(self.sample_rate, self.n_fft, self.num_mels), ((1, 1), (0, 0))
        )
        # Through a Hann window, a tone of amplitude 1 at the center of a bin has magnitude
        # n_fft / 4 there and half of that in the two bins beside it.
        lobe = filters[1:-1] + filters[:-2] / 2 + filters[2:] / 2
        amplitude = max(abs(self.input_space.low), abs(self.input_space.high))
        return Array(
            (self.input_space.shape[0] // self.hop, self.num_mels),
            math.log(FLOOR),
            math.log(amplitude * self.n_fft / 4 * lobe.max()),
            padded=self.input_space.padded,
        )

    def encode(self, variables: Variables, y: Value) -> Value:
        values, length = y if self.input_space.padded else (y, None)
        wave = values.reshape(values.shape[0], -1)
        if length is not None:
            wave = jnp.where(length_mask(length, wave.shape[1]), wave, 0.0)
        space = self.output_space
        mel = log_mel(wave, self.sample_rate, self.n_fft, self.hop, self.num_mels)
        mel = jnp.clip(mel, space.low, space.high)
        if length is None:
            return mel
        num_frames = jnp.minimum(-(-length // self.hop), space.shape[0])
        valid = length_mask(num_frames, space.shape[0])
        return Padded(jnp.where(valid[..., None], mel, 0.0), num_frames)

    def decode(self, variables: Variables, y_prime: Value) -> Value:
        values, num_frames = y_prime if self.input_space.padded else (y_prime, None)
        space = self.output_space
        mel = jnp.exp(jnp.clip(values, space.low, space.high))
        wave = griffin_lim(
            mel_to_magnitude(mel, self.sample_rate, self.n_fft),
            self.n_fft,
            self.hop,
            self.iterations,
            self.momentum,
            num_frames=num_frames,
        )
        wave = jnp.clip(wave, self.input_space.low, self.input_space.high)
        wave = wave.reshape(wave.shape[0], *self.input_space.shape)
        if num_frames is None:
            return wave
        return Padded(wave, num_frames * self.hop)
