"""Discriminators of sound: convolutions over complex spectra at several resolutions.

Jang et al., "UnivNet" (arXiv 2106.07889), section 2.2; complex spectra as in Kumar et
al., "High-Fidelity Audio Compression with Improved RVQGAN" (arXiv 2306.06546), section
3.3.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.modalities.audio.stft import stft
from regen_jax.networks.discriminators.interface import Discriminator, Judgement
from regen_jax.networks.linear import Linear
from regen_jax.networks.sample_network import Params
from regen_jax.ranges import Count
from regen_jax.spaces import Array, Padded, Space, Value, length_mask

_FOLD = 4
_OVERLAP = 4


@dataclasses.dataclass(frozen=True)
class Spectrum(Discriminator):
    """One `SpectrumDiscriminator` per resolution.

    Attributes:
      resolutions: samples per frame.
      widths: channels of each layer.
    """

    resolutions: tuple[Count, ...] = (256, 512, 1024)
    widths: tuple[Count, ...] = (16, 32, 64)

    def __post_init__(self):
        super().__post_init__()
        if not self.resolutions or any(n % _OVERLAP for n in self.resolutions):
            raise ValueError(
                f"resolutions must be multiples of {_OVERLAP}, not {self.resolutions}"
            )

    def check(self, space: Space) -> None:
        if not isinstance(space, Array) or len(space.shape) != 1:
            raise ValueError(
                f"discriminator 'spectrum' needs waves, an Array of samples, not {space}"
            )

    def init(self, rng: jax.Array, space: Space) -> Params:
        wave = jnp.zeros((1, max(self.resolutions)))
        return self._networks.init(rng, wave, jnp.full(1, wave.shape[1]))["params"]

    def judge(self, params: Params, sample: Value) -> list[Judgement]:
        if isinstance(sample, Padded):
            wave, length = sample
            wave = jnp.where(length_mask(length, wave.shape[1]), wave, 0)
        else:
            wave, length = sample, jnp.full(sample.shape[0], sample.shape[1])
        return self._networks.apply({"params": params}, wave, length)

    @property
    def _networks(self) -> "SpectrumDiscriminators":
        return SpectrumDiscriminators(self.resolutions, self.widths)


class SpectrumDiscriminator(nn.Module):
    """Convolutions of 3 frames by 3 groups of 4 bins (or of the last layer's outputs).

    Convolutions are products with shifted copies: one matrix product per layer.
    """

    n_fft: int
    widths: tuple[int, ...] = (16, 32, 64)

    @nn.compact
    def __call__(self, wave_BxN: jax.Array, length_B: jax.Array) -> Judgement:
        """Judges waves f32[B, N] that are 0 beyond their length i32[B].

        Logits are f32[B, T, G], of each frame and group of bins.
        """
        hop = self.n_fft // _OVERLAP
        spectrum = stft(wave_BxN, self.n_fft, hop)
        mask_BxT = jnp.arange(spectrum.shape[1]) * hop < length_B[:, None]
        x = jnp.stack([spectrum.real, spectrum.imag], axis=-1)
        features = []
        for width in self.widths:
            x = Linear(width)(_neighborhoods(_folded(x), mask_BxT))
            x = nn.leaky_relu(x, 0.1)
            features.append(x)
        logits = Linear(1, name="logits")(_neighborhoods(x, mask_BxT))[..., 0]
        return Judgement(logits, features, mask_BxT)


class SpectrumDiscriminators(nn.Module):
    """One `SpectrumDiscriminator` for each of `resolutions`, in samples per frame."""

    resolutions: tuple[int, ...] = (256, 512, 1024)
    widths: tuple[int, ...] = (16, 32, 64)

    @nn.compact
    def __call__(self, wave_BxN: jax.Array, length_B: jax.Array) -> list[Judgement]:
        return [
            SpectrumDiscriminator(n_fft, self.widths)(wave_BxN, length_B)
            for n_fft in self.resolutions
        ]


def _folded(x_BxTxFxC: jax.Array) -> jax.Array:
    """Returns groups of bins as channels: [B, T, F, C] to [B, T, ceil(F / 4), 4 C]."""
    batch, frames, bins, channels = x_BxTxFxC.shape
    x = jnp.pad(x_BxTxFxC, ((0, 0), (0, 0), (0, -bins % _FOLD), (0, 0)))
    return x.reshape(batch, frames, -1, _FOLD * channels)


def _neighborhoods(x_BxTxGxC: jax.Array, mask_BxT: jax.Array) -> jax.Array:
    """Returns each cell with its 8 neighbors, 0 where there are none: [B, T, G, 9 C]."""
    frames, groups = x_BxTxGxC.shape[1:3]
    x = jnp.where(mask_BxT[..., None, None], x_BxTxGxC, 0)
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [x[:, i : i + frames, j : j + groups] for i in range(3) for j in range(3)]
    return jnp.concatenate(shifted, axis=-1)
