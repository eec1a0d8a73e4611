"""Differentiable short-time Fourier transform (STFT) and its inverse.

Frame i is centered at sample i * hop, and waves are padded with zeros at both ends: the
frames are those of `librosa.stft(center=True, pad_mode="constant")` except the last,
which is centered after the end of the wave. The window is a periodic Hann window. Frames
are cut and overlap-added by reshapes and slices, which cost far less than gathers and
scatters.
"""

import jax
import jax.numpy as jnp
import numpy as np


def hann_window(size: int) -> np.ndarray:
    """Computes the periodic Hann window, f32[size]."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)


def check_sizes(n_fft: int, hop: int) -> None:
    """Raises a ValueError unless `stft` supports the frame size and hop, in samples."""
    if hop < 1 or n_fft % hop or n_fft < 3 * hop or n_fft % 2:
        raise ValueError(
            "n_fft must be even and a multiple of hop, 3 times it or more, "
            f"not {n_fft} with hop {hop}"
        )


def stft(wave: jax.Array, n_fft: int = 1024, hop: int = 256) -> jax.Array:
    """Computes the STFT of a wave.

    Args:
      wave: f32[..., N] with N >= hop.
      n_fft: samples per frame, even and a multiple of `hop`, at least 3 times it.
      hop: samples between frames.

    Returns:
      complex64[..., N // hop, n_fft // 2 + 1].

    Raises:
      ValueError: the sizes are not supported.
    """
    check_sizes(n_fft, hop)
    num_samples = wave.shape[-1]
    num_frames = num_samples // hop
    if not num_frames:
        raise ValueError(f"stft needs {hop} samples or more, not {num_samples}")
    before = n_fft // 2
    after = max(0, (num_frames - 1) * hop + n_fft - before - num_samples)
    padding = [(0, 0)] * (wave.ndim - 1) + [(before, after)]
    padded = jnp.pad(jnp.asarray(wave, jnp.float32), padding)
    frames = _frame(padded, num_frames, n_fft, hop)
    return jnp.fft.rfft(frames * hann_window(n_fft))


def istft(
    spectrum: jax.Array,
    n_fft: int = 1024,
    hop: int = 256,
    num_frames: jax.Array | None = None,
) -> jax.Array:
    """Computes the wave whose STFT is nearest to a spectrum in least squares.

    Overlapping windowed frames are added and divided by the sum of squared windows
    (Griffin and Lim 1984, equation 6), so that it inverts `stft` if `hop` divides the
    length of the wave.

    Args:
      spectrum: complex64[..., T, n_fft // 2 + 1].
      n_fft: samples per frame, as in `stft`.
      hop: samples between frames.
      num_frames: i32[...], valid frames; None for all of them.

    Returns:
      f32[..., T * hop], 0 from num_frames * hop on.

    Raises:
      ValueError: the sizes are not supported, or the number of bins is another.
    """
    check_sizes(n_fft, hop)
    size, num_bins = spectrum.shape[-2:]
    if num_bins != n_fft // 2 + 1:
        raise ValueError(f"istft needs {n_fft // 2 + 1} bins, not {num_bins}")
    window = hann_window(n_fft)
    frames = jnp.fft.irfft(spectrum, n_fft) * window
    middle = slice(n_fft // 2, n_fft // 2 + size * hop)
    if num_frames is None:
        weight = _overlap_add(np.broadcast_to(window**2, (size, n_fft)), hop)
        return _overlap_add(frames, hop)[..., middle] / weight[middle]
    mask = (jnp.arange(size) < num_frames[..., None])[..., None]
    total = _overlap_add(jnp.where(mask, frames, 0.0), hop)[..., middle]
    weight = _overlap_add(jnp.where(mask, window**2, 0.0), hop)[..., middle]
    inside = jnp.arange(size * hop) < num_frames[..., None] * hop
    return jnp.where(inside, total / jnp.where(inside, weight, 1.0), 0.0)


def _frame(padded: jax.Array, num_frames: int, n_fft: int, hop: int) -> jax.Array:
    """Cuts a wave f32[..., N] into overlapping frames f32[..., T, n_fft]."""
    overlap = n_fft // hop
    num_blocks = num_frames + overlap - 1
    blocks = padded[..., : num_blocks * hop].reshape(
        *padded.shape[:-1], num_blocks, hop
    )
    shifts = [blocks[..., k : k + num_frames, :] for k in range(overlap)]
    return jnp.concatenate(shifts, axis=-1)


def _overlap_add(frames: jax.Array, hop: int) -> jax.Array:
    """Adds overlapping frames f32[..., T, n_fft] to f32[..., (T - 1) * hop + n_fft]."""
    *batch, num_frames, n_fft = frames.shape
    overlap = n_fft // hop
    parts = jnp.moveaxis(frames.reshape(*batch, num_frames, overlap, hop), -2, 0)
    batch_padding = [(0, 0)] * len(batch)
    blocks = sum(
        jnp.pad(part, [*batch_padding, (k, overlap - 1 - k), (0, 0)])
        for k, part in enumerate(parts)
    )
    return blocks.reshape(*batch, -1)
