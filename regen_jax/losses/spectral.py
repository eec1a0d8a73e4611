"""How far one wave is from another, by their spectra at several resolutions."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.losses.interface import LossTerm, Params, TermLoss
from regen_jax.modalities.audio.mel import log_compress, mel_magnitude
from regen_jax.modalities.audio.stft import hann_window, stft
from regen_jax.ranges import Count
from regen_jax.spaces import Array, Padded, Space, Value

OVERLAP = 4
"""Samples in a frame over samples from a frame to the next."""

QUIET = 1e-3
"""Root mean square of a wave, 60 dB below full scale: the least loudness of a target by
which a distance is divided."""


@dataclasses.dataclass(frozen=True)
class Spectral(LossTerm):
    """Sum of the two distances of `spectral_loss`.

    Attributes:
      resolutions: samples per frame of each spectrum.
      sample_rate: in Hz.
    """

    resolutions: tuple[Count, ...] = (256, 512, 1024)
    sample_rate: Count = 16000

    def __post_init__(self):
        super().__post_init__()
        check_resolutions(self.resolutions)

    def check(self, space: Space) -> None:
        if not isinstance(space, Array) or len(space.shape) != 1:
            raise ValueError(
                f"loss 'spectral' needs waves, an Array of samples, not {space}"
            )

    def __call__(
        self, params: Params, space: Array, prediction: jax.Array, target: Value
    ) -> TermLoss:
        if not isinstance(target, Padded):
            target = Padded(target, jnp.full(target.shape[0], target.shape[1]))
        distances = spectral_loss(
            prediction, *target, self.resolutions, self.sample_rate
        )
        metrics = {f"{name}_loss": value for name, value in distances.items()}
        return TermLoss(sum(distances.values()), metrics)


def num_mels(n_fft: int) -> int:
    """Mel bands at a resolution: 80 of 1024 samples, in proportion."""
    return max(1, n_fft * 5 // 64)


def spectral_loss(
    wave: jax.Array,
    target: jax.Array,
    length: jax.Array,
    resolutions: tuple[int, ...] = (256, 512, 1024),
    sample_rate: int = 16000,
) -> dict[str, jax.Array]:
    """Two distances of waves [B, N], each f32[B], means over the resolutions.

    What lies beyond `length` i32[B] does not count. `log_mel` is the mean absolute
    difference of log-mel spectra (Kong, Kim and Bae, "HiFi-GAN", arXiv 2010.05646,
    equation 5; at several resolutions as Kumar et al., arXiv 2306.06546, section 3.4).
    `convergence` is |S - Ŝ| / |S|, Frobenius norms of magnitudes (Yamamoto, Song and
    Kim, "Parallel WaveGAN", arXiv 1910.11480, equation 5), but |S| is at least that of
    noise as loud as `QUIET`: one silent target would outweigh a batch otherwise.
    `resolutions` are samples a frame.
    """
    counts = jnp.arange(wave.shape[-1]) < length[:, None]
    both = jnp.where(counts, jnp.stack([wave, target]), 0)
    parts = [_at_resolution(both, length, n_fft, sample_rate) for n_fft in resolutions]
    return {
        name: sum(part[name] for part in parts) / len(parts)
        for name in ("log_mel", "convergence")
    }


def check_resolutions(resolutions: tuple[int, ...]) -> None:
    """Raises a ValueError unless all are numbers of samples that spectra can have."""
    if not resolutions or any(n < 64 or n % (2 * OVERLAP) for n in resolutions):
        raise ValueError(
            f"resolutions must be multiples of {2 * OVERLAP} from 64 on, "
            f"not {resolutions}"
        )


def _at_resolution(
    both: jax.Array, length: jax.Array, n_fft: int, sample_rate: int
) -> dict[str, jax.Array]:
    hop = n_fft // OVERLAP
    spectrum = stft(both, n_fft, hop)
    frames = jnp.arange(spectrum.shape[-2]) * hop < length[:, None]
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    # A root has no finite gradient at 0, where sound is digital silence.
    magnitude = jnp.sqrt(jnp.maximum(power, 1e-12)) * frames[..., None]

    mel = mel_magnitude(magnitude, sample_rate, num_mels(n_fft))
    wave, target = log_compress(mel)
    difference = jnp.abs(wave - target).mean(axis=-1)
    number = jnp.maximum(frames.sum(axis=-1), 1)
    log_mel = jnp.where(frames, difference, 0).sum(axis=-1) / number

    wave, target = magnitude
    least = quiet_norm(frames.sum(axis=-1), n_fft)
    convergence = _norm(wave - target) / jnp.maximum(_norm(target), least)
    return {"log_mel": log_mel, "convergence": convergence}


def quiet_norm(num_frames: jax.Array | int, n_fft: int) -> jax.Array:
    """Returns the Frobenius norm of the magnitudes of white noise at `QUIET`."""
    power = np.square(hann_window(n_fft)).sum() * (n_fft // 2 + 1)
    return QUIET * jnp.sqrt(jnp.maximum(num_frames, 1) * power)


def _norm(magnitude: jax.Array) -> jax.Array:
    """Frobenius norms f32[B] of [B, T, F], with a gradient of 0 at 0."""
    square = jnp.square(magnitude).sum(axis=(-2, -1))
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
