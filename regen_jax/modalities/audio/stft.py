"""The short-time Fourier transform and its inverse, differentiable.

Frame i is centred at sample i * hop, and the wave continues with zeros at both ends: the
frames of `librosa.stft(center=True, pad_mode="constant")` but the last, which is centred
behind the wave. The window is Hann's, periodic. Frames are cut and added by reshapes and
slices, which cost far less than gathers and scatters.
"""

import jax
import jax.numpy as jnp
import numpy as np


def hann_window(size: int) -> np.ndarray:
    """The periodic Hann window, f32[size]."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)


def check_sizes(n_fft: int, hop: int) -> None:
    """ValueError where frames of `n_fft` samples every `hop` cannot be used here."""
    if hop < 1 or n_fft % hop or n_fft < 3 * hop or n_fft % 2:
        raise ValueError(
            "n_fft must be even and a multiple of hop, 3 times it or more, "
            f"not {n_fft} with hop {hop}"
        )


def stft(wave: jax.Array, n_fft: int = 1024, hop: int = 256) -> jax.Array:
    """The spectrum of a wave.

    Arguments:
      wave: float [..., N] with N >= hop.
      n_fft: samples in a frame, even and `hop` times 3 or more.
      hop: samples from a frame to the next.

    Returns:
      complex64 [..., N // hop, n_fft // 2 + 1].

    Raises:
      ValueError: for other sizes.
    """
    check_sizes(n_fft, hop)
    num_samples = wave.shape[-1]
    num_frames = num_samples // hop
    if not num_frames:
        raise ValueError(f"stft needs {hop} samples or more, not {num_samples}")
    before = n_fft // 2
    after = max(0, (num_frames - 1) * hop + n_fft - before - num_samples)
    edges = [(0, 0)] * (wave.ndim - 1) + [(before, after)]
    padded = jnp.pad(jnp.asarray(wave, jnp.float32), edges)
    frames = _cut(padded, num_frames, n_fft, hop)
    return jnp.fft.rfft(frames * hann_window(n_fft))


def istft(
    spectrum: jax.Array,
    n_fft: int = 1024,
    hop: int = 256,
    num_frames: jax.Array | None = None,
) -> jax.Array:
    """The wave whose spectrum is nearest to the one given.

    Overlapping windowed frames are added and divided by the sum of squared windows
    (Griffin and Lim 1984, equation 6), so that it inverts `stft` where `hop` divides
    the length of the wave.

    Arguments:
      spectrum: complex [..., T, n_fft // 2 + 1].
      n_fft: samples in a frame, as in `stft`.
      hop: samples from a frame to the next.
      num_frames: int32 [...], how many frames count; all of them where it is None.

    Returns:
      f32 [..., T * hop], 0 from num_frames * hop on.

    Raises:
      ValueError: for other sizes.
    """
    check_sizes(n_fft, hop)
    size, num_bins = spectrum.shape[-2:]
    if num_bins != n_fft // 2 + 1:
        raise ValueError(f"istft needs {n_fft // 2 + 1} bins, not {num_bins}")
    window = hann_window(n_fft)
    frames = jnp.fft.irfft(spectrum, n_fft) * window
    middle = slice(n_fft // 2, n_fft // 2 + size * hop)
    if num_frames is None:
        weight = _add(np.broadcast_to(window**2, (size, n_fft)), hop)
        return _add(frames, hop)[..., middle] / weight[middle]
    counts = (jnp.arange(size) < num_frames[..., None])[..., None]
    total = _add(jnp.where(counts, frames, 0.0), hop)[..., middle]
    weight = _add(jnp.where(counts, window**2, 0.0), hop)[..., middle]
    inside = jnp.arange(size * hop) < num_frames[..., None] * hop
    return jnp.where(inside, total / jnp.where(inside, weight, 1.0), 0.0)


def _cut(padded: jax.Array, num_frames: int, n_fft: int, hop: int) -> jax.Array:
    """Overlapping frames [..., T, n_fft] of a wave [..., N]."""
    overlap = n_fft // hop
    num_blocks = num_frames + overlap - 1
    blocks = padded[..., : num_blocks * hop].reshape(
        *padded.shape[:-1], num_blocks, hop
    )
    shifts = [blocks[..., k : k + num_frames, :] for k in range(overlap)]
    return jnp.concatenate(shifts, axis=-1)


def _add(frames: jax.Array, hop: int) -> jax.Array:
    """The sum of overlapping frames [..., T, n_fft], f32 [..., (T - 1) * hop + n_fft]."""
    *batch, num_frames, n_fft = frames.shape
    overlap = n_fft // hop
    parts = jnp.moveaxis(frames.reshape(*batch, num_frames, overlap, hop), -2, 0)
    edges = [(0, 0)] * len(batch)
    blocks = sum(
        jnp.pad(part, [*edges, (k, overlap - 1 - k), (0, 0)])
        for k, part in enumerate(parts)
    )
    return blocks.reshape(*batch, -1)
