"""Frames to sound by an inverse Fourier transform.

Siuzdak, "Vocos: Closing the gap between time-domain and Fourier-based neural vocoders
for high-quality audio synthesis" (arXiv 2306.00814). Blocks are those of ConvNeXt (Liu
et al., arXiv 2201.03545), over time.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.modalities.audio.stft import istft
from regen_jax.networks.linear import Linear

KERNEL = 7
"""Frames that a convolution sees."""
MAX_LOG_MAGNITUDE = math.log(100)

_INIT = nn.initializers.truncated_normal(0.02)


def neighbours(x_BxTxC: jax.Array) -> list[jax.Array]:
    """The frames from KERNEL // 2 before to as many behind, zero beyond the ends."""
    frames = x_BxTxC.shape[1]
    padded = jnp.pad(x_BxTxC, ((0, 0), (KERNEL // 2, KERNEL // 2), (0, 0)))
    return [padded[:, k : k + frames] for k in range(KERNEL)]


class ConvNeXtBlock(nn.Module):
    """x + scale · MLP(LayerNorm(depthwise conv(x))): [B, T, width] to the same.

    The depthwise convolution is a sum of shifted products: XLA's grouped convolutions
    are slow on CPUs.

    Attributes:
      scale: what each channel of the branch is scaled by at the start of training.
    """

    scale: float = 1.0
    expansion: int = 3
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x_BxTxW: jax.Array, mask_BxT: jax.Array) -> jax.Array:
        width = x_BxTxW.shape[-1]
        kernel = self.param("kernel", _INIT, (KERNEL, width)).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (width,)).astype(self.dtype)
        shifted = neighbours(jnp.where(mask_BxT[..., None], x_BxTxW, 0))
        h = sum(x * w for x, w in zip(shifted, kernel, strict=True)) + bias
        h = nn.LayerNorm(dtype=self.dtype)(h)
        h = Linear(self.expansion * width, dtype=self.dtype, kernel_init=_INIT)(h)
        h = Linear(width, dtype=self.dtype, kernel_init=_INIT)(nn.gelu(h))
        init = nn.initializers.constant(self.scale)
        scale = self.param("scale", init, (width,)).astype(self.dtype)
        return x_BxTxW + scale * h


class ConvNeXt(nn.Module):
    """Frames [B, T, any] to features [B, T, width] of `dtype`.

    What lies beyond the mask bool[B, T] does not reach what lies within; features there
    mean nothing.
    """

    width: int
    num_layers: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x_BxTxC: jax.Array, mask_BxT: jax.Array) -> jax.Array:
        x = jnp.where(mask_BxT[..., None], x_BxTxC, 0).astype(self.dtype)
        x = jnp.concatenate(neighbours(x), axis=-1)
        x = Linear(self.width, dtype=self.dtype, name="embed")(x)
        x = nn.LayerNorm(dtype=self.dtype)(x)
        for _ in range(self.num_layers):
            x = ConvNeXtBlock(scale=1 / self.num_layers, dtype=self.dtype)(x, mask_BxT)
        return nn.LayerNorm(dtype=self.dtype)(x)


class InverseSTFT(nn.Module):
    """Features [B, T, any] to a wave f32[B, T * hop], by magnitude and phase a bin.

    Phases are those at the centre of a frame, where an impulse has the same in all
    bins. The mask bool[B, T] is true of the first frames of an example, and the wave is
    0 beyond them.
    """

    n_fft: int
    hop: int

    @nn.compact
    def __call__(
        self,
        x_BxTxW: jax.Array,
        mask_BxT: jax.Array,
        envelope_BxTxF: jax.Array | float = 0.0,
    ) -> jax.Array:
        """`envelope` is a first guess of the log-magnitudes, to which others add."""
        # In float32: phases are angles of any size, and their errors are audible.
        head = Linear(self.n_fft + 2, kernel_init=_INIT, name="spectrum")
        log_magnitude, phase = jnp.split(head(x_BxTxW.astype(jnp.float32)), 2, axis=-1)
        log_magnitude += envelope_BxTxF
        magnitude = jnp.exp(jnp.minimum(log_magnitude, MAX_LOG_MAGNITUDE))
        magnitude = jnp.where(mask_BxT[..., None], magnitude, 0)
        magnitude *= 1 - 2 * (np.arange(self.n_fft // 2 + 1) % 2)
        phase = jnp.where(mask_BxT[..., None], phase, 0)
        spectrum = jax.lax.complex(
            magnitude * jnp.cos(phase), magnitude * jnp.sin(phase)
        )
        return istft(spectrum, self.n_fft, self.hop, mask_BxT.sum(axis=1))


class Vocos(nn.Module):
    """Frames [B, T, any] within a mask bool[B, T] to a wave f32[B, T * hop].

    `envelope` is as `InverseSTFT` has it.
    """

    width: int
    num_layers: int
    n_fft: int
    hop: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        x_BxTxC: jax.Array,
        mask_BxT: jax.Array,
        envelope_BxTxF: jax.Array | float = 0.0,
    ) -> jax.Array:
        x = ConvNeXt(self.width, self.num_layers, self.dtype)(x_BxTxC, mask_BxT)
        return InverseSTFT(self.n_fft, self.hop)(x, mask_BxT, envelope_BxTxF)


class FoldedEncoder(nn.Module):
    """Frames [B, T, any] within a mask bool[B, T] to latents [B, T / stride, out_dim].

    Each latent is made of `stride` frames, whose features become its channels.
    """

    width: int
    num_layers: int
    stride: int
    out_dim: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x_BxTxC: jax.Array, mask_BxT: jax.Array) -> jax.Array:
        x = ConvNeXt(self.width, self.num_layers, self.dtype)(x_BxTxC, mask_BxT)
        x = x.reshape(x.shape[0], -1, self.stride * self.width)
        return Linear(self.out_dim, dtype=self.dtype, name="latents")(x)


class UnfoldedVocos(nn.Module):
    """Latents [B, T / stride, D] to a wave f32[B, T * hop], by `vocos`.

    The mask is bool[B, T], of the frames.
    """

    stride: int
    vocos: Vocos

    @nn.compact
    def __call__(self, z_BxSxD: jax.Array, mask_BxT: jax.Array) -> jax.Array:
        width, dtype = self.vocos.width, self.vocos.dtype
        x = Linear(self.stride * width, dtype=dtype, name="unfold")(z_BxSxD)
        x = x.reshape(x.shape[0], -1, width)
        return self.vocos(x, mask_BxT)
