"""A convolutional encoder and decoder of clips [B, T, H, W, C], causal in time.

As in MAGVIT-v2 (Yu et al., arXiv 2310.05737, section 3.1), nothing depends on later frames,
so that a single image is a clip too. Convolutions are factorized: over space within each
frame, as those of `conv2d`, then over time at each position (Tran et al., "R(2+1)D", arXiv
1711.11248), so that weights of images inflate to clips.

Before the first frame, every layer sees that frame repeated, so that a still clip has still
latents. A chunk of a longer clip sees the end of the one before it instead, by a cache.
"""

import functools
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.conv.conv2d import (
    NORMS,
    Downsample,
    Norm,
    depth_to_space,
    halved,
)
from regen_jax.networks.frames import (
    depth_to_time,
    fold_frames,
    time_to_depth,
    unfold_frames,
)
from regen_jax.networks.layer_stack import Layer, LayerStack, Params
from regen_jax.networks.layers import Conv, Dense
from regen_jax.networks.linear import Linear

TAPS = 3
"""Frames that a convolution over time reads: the current one and those before it."""

Cache = list[list[jax.Array]]
"""The last `TAPS - 1` inputs [B, TAPS - 1, H, W, C] of convolutions, by level and block."""


class TemporalConv(nn.Module):
    """Causal convolution over time: [B, T, H, W, C] to [B, T, H, W, width]."""

    width: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, x_BxTxHxWxC: jax.Array, past: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """Returns the result, and the last `TAPS - 1` frames of the input.

        Args:
          x_BxTxHxWxC: the input.
          past: the frames before it; None repeats its first one.
        """
        x = x_BxTxHxWxC.astype(self.dtype)
        frames = x.shape[1]
        if past is None:
            past = jnp.repeat(x[:, :1], TAPS - 1, axis=1)
        x = jnp.concatenate([past, x], axis=1)
        taps = [x[:, i : i + frames] for i in range(TAPS)]
        y = Linear(self.width, dtype=self.dtype, name="taps")(
            jnp.concatenate(taps, axis=-1)
        )
        return y, x[:, frames:]


class ResidualBlock(nn.Module):
    """x + TemporalConv(silu(Conv3x3(norm(x)))): [B, T, H, W, width] to the same.

    It is that of `conv2d`, whose last convolution now reads earlier frames as well.
    """

    dtype: jnp.dtype = jnp.float32
    norm: Norm = "layer"

    @nn.compact
    def __call__(
        self, x_BxTxHxWxC: jax.Array, layer: Layer
    ) -> tuple[jax.Array, jax.Array]:
        """Returns the result, and what the next chunk needs as `layer.inputs`."""
        width = x_BxTxHxWxC.shape[-1]
        h = NORMS[self.norm](width, self.dtype)(fold_frames(x_BxTxHxWxC))
        h = nn.silu(Conv(width, (3, 3), dtype=self.dtype)(h))
        h = unfold_frames(h, len(x_BxTxHxWxC))
        h, past = TemporalConv(width, self.dtype)(h, layer.inputs)
        return x_BxTxHxWxC + h, past


class _Levels(nn.Module):
    """What encoders and decoders share: n levels, m of which change the frame rate.

    Attributes:
      widths: channels of each level of the encoder.
      out_dim: channels of the result.
      temporal: of each level of the encoder, whether it halves the frame rate.
    """

    widths: tuple[int, ...]
    out_dim: int
    temporal: tuple[bool, ...]
    num_blocks: int = 1
    dtype: jnp.dtype = jnp.float32
    norm: Norm = "layer"

    def blocks(
        self, x: jax.Array, level: int, cache: Cache | None
    ) -> tuple[jax.Array, list[jax.Array]]:
        """Applies the residual blocks of a level, and returns their part of a cache."""
        block = functools.partial(ResidualBlock, dtype=self.dtype, norm=self.norm)
        layers = LayerStack(block, self.num_blocks, name=f"level_{level}")
        return layers(x, per_layer=None if cache is None else cache[level])


class Encoder(_Levels):
    """[B, T, H, W, C] to [B, T / 2^m, H / 2^n, W / 2^n, out_dim]."""

    downsample: Downsample = "fold"

    def __call__(self, x_BxTxHxWxC: jax.Array) -> jax.Array:
        return self.encode_chunk(x_BxTxHxWxC)[0]

    @nn.compact
    def encode_chunk(
        self, x_BxTxHxWxC: jax.Array, cache: Cache | None = None
    ) -> tuple[jax.Array, Cache]:
        """Returns the latents of a part of a clip, and the cache for the next part.

        Args:
          x_BxTxHxWxC: frames, whose number 2^m divides.
          cache: that of the part before; None for the first one.

        Raises:
          ValueError: 2^m does not divide the number of frames.
        """
        multiple = 2 ** sum(self.temporal)
        if x_BxTxHxWxC.shape[1] % multiple:
            raise ValueError(
                f"chunks must have a multiple of {multiple} frames, not "
                f"{x_BxTxHxWxC.shape[1]}: see pad_front for the first one"
            )
        x, batch, new_cache = x_BxTxHxWxC, x_BxTxHxWxC.shape[0], []
        for level, (width, halves) in enumerate(
            zip(self.widths, self.temporal, strict=True)
        ):
            x = fold_frames(time_to_depth(x) if halves else x)
            x = halved(x, width, self.dtype, self.downsample)
            x, past = self.blocks(unfold_frames(x, batch), level, cache)
            new_cache.append(past)
        x = NORMS[self.norm](x.shape[-1], self.dtype)(fold_frames(x))
        z = Dense(self.out_dim, dtype=self.dtype)(x)
        return unfold_frames(z, batch), new_cache


class Decoder(_Levels):
    """[B, t, h, w, D] to f32[B, t * 2^m - skip, h * 2^n, w * 2^n, out_dim].

    Attributes:
      skip: frames to leave out at the beginning of a clip.
    """

    skip: int = 0

    def __call__(self, z_BxTxHxWxD: jax.Array) -> jax.Array:
        return self.decode_chunk(z_BxTxHxWxD)[0]

    @nn.compact
    def decode_chunk(
        self, z_BxTxHxWxD: jax.Array, cache: Cache | None = None
    ) -> tuple[jax.Array, Cache]:
        """Returns the frames of a part of the latents, and the cache for the next part.

        Args:
          z_BxTxHxWxD: any number of latents.
          cache: that of the part before; None for the first one, which lacks `skip`
            frames.
        """
        batch, new_cache = z_BxTxHxWxD.shape[0], []
        x = Conv(self.widths[-1], (3, 3), dtype=self.dtype)(fold_frames(z_BxTxHxWxD))
        x = unfold_frames(x, batch)
        next_widths = (*self.widths[-2::-1], self.out_dim)
        for level, (next_width, doubles) in enumerate(
            zip(next_widths, self.temporal[::-1], strict=True)
        ):
            x, past = self.blocks(x, level, cache)
            new_cache.append(past)
            x = nn.silu(fold_frames(x))
            channels = (8 if doubles else 4) * next_width
            x = depth_to_space(Conv(channels, (3, 3), dtype=self.dtype)(x))
            x = unfold_frames(x, batch)
            x = depth_to_time(x) if doubles else x
        x = x.astype(jnp.float32)
        return x[:, self.skip :] if cache is None else x, new_cache


def inflate_conv_encoder(
    params: Params, temporal: Sequence[bool], folds: bool
) -> Params:
    """Returns parameters of an `Encoder` that reads the last of each group of frames.

    Of a still clip, its latents are those of the image: kernels are 0 on earlier frames
    (central initialization of Arnab et al., arXiv 2103.15691, section 3.4, made causal).

    Args:
      params: of the encoder of `conv2d` with the same widths and blocks.
      temporal: of the encoder of clips.
      folds: whether 2 x 2 pixels are channels of the convolutions between levels.
    """
    new = dict(params)
    for level, halves in enumerate(temporal):
        if halves:
            conv = params[f"Conv_{level}"]
            *size, channels, width = conv["kernel"].shape
            pixels = 4 if folds else 1
            kernel = conv["kernel"].reshape(*size, pixels, channels // pixels, width)
            kernel = jnp.concatenate([jnp.zeros_like(kernel), kernel], axis=-2)
            kernel = kernel.reshape(*size, 2 * channels, width)
            new[f"Conv_{level}"] = {**conv, "kernel": kernel}
    return _inflate_blocks(new)


def inflate_conv_decoder(params: Params, temporal: Sequence[bool]) -> Params:
    """Returns parameters of a `Decoder` that repeats the image of each latent.

    Args:
      params: of the decoder of `conv2d` with the same widths and blocks.
      temporal: of the decoder of clips.
    """

    def for_both_frames(leaf: jax.Array) -> jax.Array:
        pixels = leaf.reshape(*leaf.shape[:-1], 4, -1)
        pairs = jnp.concatenate([pixels, pixels], axis=-1)
        return pairs.reshape(*leaf.shape[:-1], -1)

    new = dict(params)
    for level, doubles in enumerate(temporal[::-1], 1):
        if doubles:
            conv = params[f"Conv_{level}"]
            new[f"Conv_{level}"] = jax.tree.map(for_both_frames, conv)
    return _inflate_blocks(new)


def _inflate_blocks(params: dict[str, Params]) -> Params:
    """Returns residual blocks whose convolutions over time read the current frame alone."""

    def inflated(level: Params) -> Params:
        block = dict(level)
        last = block.pop("Conv_1")
        kernel_LxCxW = last["kernel"][:, 0, 0]
        earlier = jnp.repeat(jnp.zeros_like(kernel_LxCxW), TAPS - 1, axis=1)
        taps = jnp.concatenate([earlier, kernel_LxCxW], axis=1)
        block["TemporalConv_0"] = {"taps": {**last, "kernel": taps}}
        return block

    return {
        name: inflated(part) if name.startswith("level_") else part
        for name, part in params.items()
    }
