"""Multi-resolution spectral losses of waves."""

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
"""Ratio of frame size to hop."""

MIN_TARGET_RMS = 1e-3
"""Root mean square, -60 dB of full scale, below which targets are not normalized."""


@dataclasses.dataclass(frozen=True)
class Spectral(LossTerm):
    """Sum of `spectral_losses` of waves.

    Attributes:
      resolutions: frame sizes in samples.
      sample_rate: Hz.
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
        losses = spectral_losses(
            prediction, *target, self.resolutions, self.sample_rate
        )
        metrics = {f"{name}_loss": value for name, value in losses.items()}
        return TermLoss(sum(losses.values()), metrics)


def spectral_losses(
    prediction: jax.Array,
    target: jax.Array,
    length: jax.Array,
    resolutions: tuple[int, ...] = (256, 512, 1024),
    sample_rate: int = 16000,
) -> dict[str, jax.Array]:
    """Computes `log_mel` and `convergence`, means over resolutions.

    See `log_mel_loss` and `spectral_convergence_loss`; they share one STFT per
    resolution. Several resolutions are used as in Kumar et al., arXiv 2306.06546,
    section 3.4.

    Args:
      prediction: wave f32[B, N].
      target: wave f32[B, N].
      length: i32[B], valid samples; later ones are ignored.
      resolutions: frame sizes in samples, see `check_resolutions`.
      sample_rate: Hz.

    Returns:
      f32[B] by name.
    """
    valid = jnp.arange(prediction.shape[-1]) < length[:, None]
    waves = jnp.where(valid, jnp.stack([prediction, target]), 0)
    losses = [_losses_at(n_fft, waves, length, sample_rate) for n_fft in resolutions]
    return {
        name: sum(loss[name] for loss in losses) / len(losses)
        for name in ("log_mel", "convergence")
    }


def log_mel_loss(
    prediction: jax.Array, target: jax.Array, mask: jax.Array, sample_rate: int
) -> jax.Array:
    """Computes the mean absolute difference of log-mel spectra.

    Kong, Kim and Bae, "HiFi-GAN", arXiv 2010.05646, equation 5.

    Args:
      prediction: STFT magnitudes f32[B, T, F].
      target: STFT magnitudes f32[B, T, F].
      mask: bool[B, T], valid frames.
      sample_rate: Hz.

    Returns:
      f32[B], 0 for an example without valid frames.
    """
    bands = num_mels(2 * (target.shape[-1] - 1))
    magnitudes = jnp.stack([prediction, target])
    log_mel = log_compress(mel_magnitude(magnitudes, sample_rate, bands))
    difference = jnp.abs(log_mel[0] - log_mel[1]).mean(axis=-1)
    num_frames = jnp.maximum(mask.sum(axis=-1), 1)
    return jnp.where(mask, difference, 0).sum(axis=-1) / num_frames


def spectral_convergence_loss(
    prediction: jax.Array, target: jax.Array, mask: jax.Array
) -> jax.Array:
    """Computes the spectral convergence |S - Ŝ| / |S| in the Frobenius norm.

    Yamamoto, Song and Kim, "Parallel WaveGAN", arXiv 1910.11480, equation 5, except that
    the denominator is at least the norm of white noise at `MIN_TARGET_RMS`: otherwise
    one silent target would outweigh a batch.

    Args:
      prediction: STFT magnitudes f32[B, T, F], 0 in invalid frames.
      target: STFT magnitudes f32[B, T, F], 0 in invalid frames.
      mask: bool[B, T], valid frames.

    Returns:
      f32[B].
    """
    n_fft = 2 * (target.shape[-1] - 1)
    num_frames = jnp.maximum(mask.sum(axis=-1), 1)
    noise_power = np.square(hann_window(n_fft)).sum() * (n_fft // 2 + 1)
    min_norm = MIN_TARGET_RMS * jnp.sqrt(num_frames * noise_power)
    return _norm(prediction - target) / jnp.maximum(_norm(target), min_norm)


def num_mels(n_fft: int) -> int:
    """Returns the number of mel bands at a frame size: 80 at 1024, in proportion."""
    return max(1, n_fft * 5 // 64)


def check_resolutions(resolutions: tuple[int, ...]) -> None:
    """Raises a ValueError unless all resolutions are valid frame sizes."""
    if not resolutions or any(n < 64 or n % (2 * OVERLAP) for n in resolutions):
        raise ValueError(
            f"resolutions must be multiples of {2 * OVERLAP} from 64 on, "
            f"not {resolutions}"
        )


def _losses_at(
    n_fft: int, waves: jax.Array, length: jax.Array, sample_rate: int
) -> dict[str, jax.Array]:
    """Computes the losses of waves f32[2, B, N], prediction and target."""
    hop = n_fft // OVERLAP
    spectrum = stft(waves, n_fft, hop)
    mask = jnp.arange(spectrum.shape[-2]) * hop < length[:, None]
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    # The gradient of a square root is infinite at 0, as in digital silence.
    magnitude = jnp.sqrt(jnp.maximum(power, 1e-12)) * mask[..., None]
    prediction, target = magnitude
    return {
        "log_mel": log_mel_loss(prediction, target, mask, sample_rate),
        "convergence": spectral_convergence_loss(prediction, target, mask),
    }


def _norm(magnitude: jax.Array) -> jax.Array:
    """Computes Frobenius norms of f32[B, T, F], f32[B], with gradient 0 at 0."""
    square = jnp.square(magnitude).sum(axis=(-2, -1))
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
