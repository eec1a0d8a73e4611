"""Vocos: frames to waves by an inverse Fourier transform.

Siuzdak, "Vocos: Closing the gap between time-domain and Fourier-based neural vocoders
for high-quality audio synthesis" (arXiv 2306.00814). Blocks are those of ConvNeXt (Liu
et al., arXiv 2201.03545), over time.
"""

import dataclasses
import functools
import math
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.modalities.audio.stft import istft
from regen_jax.networks.layer_stack import Layer, LayerStack
from regen_jax.networks.layers import LayerNorm, Module, truncated_normal, zeros
from regen_jax.networks.linear import Linear
from regen_jax.ranges import Count, Dtype, Natural

KERNEL = 7
"""Frames that a convolution sees."""
MAX_LOG_MAGNITUDE = math.log(100)


def neighbors(x_BxTxC: jax.Array) -> list[jax.Array]:
    """Returns x at offsets -(KERNEL // 2) to KERNEL // 2, zero beyond the ends."""
    frames = x_BxTxC.shape[1]
    padded = jnp.pad(x_BxTxC, ((0, 0), (KERNEL // 2, KERNEL // 2), (0, 0)))
    return [padded[:, k : k + frames] for k in range(KERNEL)]


class ConvNeXtBlock(Module):
    """x + scale · MLP(LayerNorm(depthwise conv(x))): [B, T, width] to the same.

    The depthwise convolution is a sum of shifted products: XLA's grouped convolutions
    are slow on CPUs.

    Attributes:
      scale: initial factor of each channel of the branch.
      expansion: hidden channels of the MLP over `width`.
    """

    scale: float = 1.0
    expansion: int = 3
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, x_BxTxW: jax.Array, layer: Layer, mask_BxT: jax.Array
    ) -> tuple[jax.Array, None]:
        width = x_BxTxW.shape[-1]
        kernel = self.param("kernel", truncated_normal, (KERNEL, width)).astype(
            self.dtype
        )
        bias = self.param("bias", zeros, (width,)).astype(self.dtype)
        shifted = neighbors(jnp.where(mask_BxT[..., None], x_BxTxW, 0))
        h = sum(x * w for x, w in zip(shifted, kernel, strict=True)) + bias
        h = LayerNorm(dtype=self.dtype)(h)
        h = Linear(
            self.expansion * width, dtype=self.dtype, kernel_init=truncated_normal
        )(h)
        h = Linear(width, dtype=self.dtype, kernel_init=truncated_normal)(nn.gelu(h))
        init = nn.initializers.constant(self.scale)
        scale = self.param("scale", init, (width,)).astype(self.dtype)
        return x_BxTxW + scale * h, None


class ConvNeXt(nn.Module):
    """Frames [B, T, any] to features [B, T, width] of `dtype`.

    Frames outside the mask bool[B, T] do not change features within it. Features outside
    it are arbitrary.
    """

    width: int
    num_layers: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x_BxTxC: jax.Array, mask_BxT: jax.Array) -> jax.Array:
        x = jnp.where(mask_BxT[..., None], x_BxTxC, 0).astype(self.dtype)
        x = jnp.concatenate(neighbors(x), axis=-1)
        x = Linear(self.width, dtype=self.dtype, name="embed")(x)
        x = LayerNorm(dtype=self.dtype)(x)
        block = functools.partial(
            ConvNeXtBlock, scale=1 / self.num_layers, dtype=self.dtype
        )
        x, _ = LayerStack(block, self.num_layers, name="layers")(x, mask_BxT)
        return LayerNorm(dtype=self.dtype)(x)


class InverseSTFT(nn.Module):
    """Features [B, T, any] to a wave f32[B, T * hop], by magnitude and phase per bin.

    Phases are those at the center of a frame, where an impulse has the same phase in all
    bins. The mask bool[B, T] is true for the first frames of an example, and the wave is
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
        """Synthesizes a wave; predicted log-magnitudes are relative to the envelope."""
        # In float32: phases are angles of any size, and their errors are audible.
        head = Linear(self.n_fft + 2, kernel_init=truncated_normal, name="spectrum")
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

    `envelope_BxTxF` is that of `InverseSTFT`.
    """

    last_layer: ClassVar[tuple[str, ...]] = ("InverseSTFT_0", "spectrum", "kernel")
    """Path of its last kernel."""

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class VocosSize:
    """The size of a `Vocos` and how it is trained.

    Attributes:
      width: features per frame.
      num_layers: ConvNeXt blocks.
      segment: frames of an example that train, drawn by its key; 0 for all of them.
      dtype: compute dtype of the blocks; spectra and losses are float32.
    """

    width: Count = 192
    num_layers: Count = 4
    segment: Natural = 32
    dtype: Dtype = "float32"

    def vocos(self, n_fft: int, hop: int) -> Vocos:
        dtype = jnp.dtype(self.dtype)
        return Vocos(self.width, self.num_layers, n_fft, hop, dtype)


class StridedEncoder(nn.Module):
    """Frames [B, T, any] to latents [B, T / stride, out_dim].

    Each latent is made of `stride` frames, whose features become its channels.
    """

    width: int
    num_layers: int
    stride: int
    out_dim: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, x_BxTxC: jax.Array, mask_BxS: jax.Array | None = None
    ) -> jax.Array:
        """Encodes frames; the mask is bool[B, T / stride], None without padding."""
        mask_BxT = _frame_mask(mask_BxS, x_BxTxC.shape[:2], self.stride)
        x = ConvNeXt(self.width, self.num_layers, self.dtype)(x_BxTxC, mask_BxT)
        x = x.reshape(x.shape[0], -1, self.stride * self.width)
        return Linear(self.out_dim, dtype=self.dtype, name="latents")(x)


class StridedDecoder(nn.Module):
    """Latents [B, S, D] to a wave f32[B, S * stride * hop], by `vocos`."""

    stride: int
    vocos: Vocos

    @nn.compact
    def __call__(
        self, z_BxSxD: jax.Array, mask_BxS: jax.Array | None = None
    ) -> jax.Array:
        """Decodes latents; the mask is bool[B, S], None without padding."""
        width, dtype = self.vocos.width, self.vocos.dtype
        x = Linear(self.stride * width, dtype=dtype, name="unfold")(z_BxSxD)
        x = x.reshape(x.shape[0], -1, width)
        return self.vocos(x, _frame_mask(mask_BxS, x.shape[:2], self.stride))


def _frame_mask(
    mask_BxS: jax.Array | None, shape: tuple[int, int], stride: int
) -> jax.Array:
    """Returns the mask bool[B, T] of frames, from that of latents."""
    if mask_BxS is None:
        return jnp.ones(shape, bool)
    return jnp.repeat(mask_BxS, stride, axis=1)
