"""Discriminators of sound, and what they and a generator of sound minimize.

They look at complex spectra at several resolutions (Jang et al., "UnivNet", arXiv
2106.07889, section 2.2; complex as Kumar et al., arXiv 2306.06546, section 3.3).
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.modalities.audio.stft import stft
from regen_jax.networks.linear import Linear

Params = Mapping[str, Any]

_FOLD = 4
_OVERLAP = 4


class Judgement(NamedTuple):
    """What one discriminator says of waves.

    Attributes:
      logits: f32[B, T, G] by frame and group of bins, high where they sound real.
      features: f32[B, T, ·, ·] of each layer.
      mask: bool[B, T], the frames that count.
    """

    logits: jax.Array
    features: list[jax.Array]
    mask: jax.Array


class SpectrumDiscriminator(nn.Module):
    """Convolutions of 3 frames by 3 groups of 4 bins (or of what the last layer made).

    Convolutions are products with shifted copies: one matrix product a layer.
    """

    n_fft: int
    widths: tuple[int, ...] = (16, 32, 64)

    @nn.compact
    def __call__(self, wave_BxN: jax.Array, length_B: jax.Array) -> Judgement:
        """Judges waves f32[B, N] that are 0 beyond their length."""
        hop = self.n_fft // _OVERLAP
        spectrum = stft(wave_BxN, self.n_fft, hop)
        mask_BxT = jnp.arange(spectrum.shape[1]) * hop < length_B[:, None]
        x = jnp.stack([spectrum.real, spectrum.imag], axis=-1)
        features = []
        for width in self.widths:
            x = Linear(width)(_neighbourhoods(_folded(x), mask_BxT))
            x = nn.leaky_relu(x, 0.1)
            features.append(x)
        logits = Linear(1, name="logits")(_neighbourhoods(x, mask_BxT))[..., 0]
        return Judgement(logits, features, mask_BxT)


class SpectrumDiscriminators(nn.Module):
    """One `SpectrumDiscriminator` for each of `resolutions`, in samples a frame."""

    resolutions: tuple[int, ...] = (256, 512, 1024)
    widths: tuple[int, ...] = (16, 32, 64)

    @nn.compact
    def __call__(self, wave_BxN: jax.Array, length_B: jax.Array) -> list[Judgement]:
        return [
            SpectrumDiscriminator(n_fft, self.widths)(wave_BxN, length_B)
            for n_fft in self.resolutions
        ]


def adversarial_losses(
    discriminators: SpectrumDiscriminators,
    params: Params,
    wave: jax.Array,
    target: jax.Array,
    length: jax.Array,
    active: jax.Array,
) -> dict[str, jax.Array]:
    """Losses f32[B] of both sides, 0 unless `active`; waves are 0 beyond `length`.

    `generator_loss` and `feature_loss` have no gradient in `params`, nor has
    `discriminator_loss` in `wave`: their sum trains both sides at once.
    """

    def losses(
        params: Params, wave: jax.Array, target: jax.Array
    ) -> tuple[jax.Array, ...]:
        def judge(params: Params, wave: jax.Array) -> list[Judgement]:
            return discriminators.apply({"params": params}, wave, length)

        real = judge(params, target)
        fake = judge(params, jax.lax.stop_gradient(wave))
        fooling = judge(jax.lax.stop_gradient(params), wave)
        return (
            generator_loss(fooling),
            feature_loss(real, fooling),
            discriminator_loss(real, fake),
        )

    def none(*operands: Any) -> tuple[jax.Array, ...]:
        return (jnp.zeros(wave.shape[0], jnp.float32),) * 3

    # The branch not taken costs nothing.
    found = jax.lax.cond(active, losses, none, params, wave, target)
    names = ("generator_loss", "feature_loss", "discriminator_loss")
    return dict(zip(names, found, strict=True))


def discriminator_loss(real: list[Judgement], fake: list[Judgement]) -> jax.Array:
    """Hinge loss f32[B] (Lim and Ye, arXiv 1705.02894, equation 3)."""
    return _mean(
        _over_frames(nn.relu(1 - r.logits) + nn.relu(1 + f.logits), r.mask)
        for r, f in zip(real, fake, strict=True)
    )


def generator_loss(fake: list[Judgement]) -> jax.Array:
    """Hinge loss f32[B] of what sounds fake, as Vocos has it."""
    return _mean(_over_frames(nn.relu(1 - f.logits), f.mask) for f in fake)


def feature_loss(real: list[Judgement], fake: list[Judgement]) -> jax.Array:
    """Mean absolute difference of features, f32[B].

    Kumar et al., "MelGAN" (arXiv 1910.06711), equation 3. No gradient reaches `real`.
    """
    return _mean(
        _over_frames(jnp.abs(jax.lax.stop_gradient(x) - y), r.mask)
        for r, f in zip(real, fake, strict=True)
        for x, y in zip(r.features, f.features, strict=True)
    )


def _folded(x_BxTxFxC: jax.Array) -> jax.Array:
    """Groups of bins as channels: [B, T, F, C] to [B, T, ceil(F / 4), 4 C]."""
    batch, frames, bins, channels = x_BxTxFxC.shape
    x = jnp.pad(x_BxTxFxC, ((0, 0), (0, 0), (0, -bins % _FOLD), (0, 0)))
    return x.reshape(batch, frames, -1, _FOLD * channels)


def _neighbourhoods(x_BxTxGxC: jax.Array, mask_BxT: jax.Array) -> jax.Array:
    """Each cell with its 8 neighbours, 0 where there are none: [B, T, G, 9 C]."""
    frames, groups = x_BxTxGxC.shape[1:3]
    x = jnp.where(mask_BxT[..., None, None], x_BxTxGxC, 0)
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [x[:, i : i + frames, j : j + groups] for i in range(3) for j in range(3)]
    return jnp.concatenate(shifted, axis=-1)


def _over_frames(x: jax.Array, mask_BxT: jax.Array) -> jax.Array:
    """Means f32[B] of [B, T, ...] over the frames that count."""
    x = x.reshape(*mask_BxT.shape, -1).mean(axis=-1)
    number = jnp.maximum(mask_BxT.sum(axis=1), 1)
    return jnp.where(mask_BxT, x, 0).sum(axis=1) / number


def _mean(terms: Iterable[jax.Array]) -> jax.Array:
    terms = list(terms)
    return sum(terms) / len(terms)
