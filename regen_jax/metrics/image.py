"""How near images are to each other: error of reconstruction, copies, variety."""

import math

import jax
import jax.numpy as jnp
import numpy as np


def mse(a: jax.Array, b: jax.Array, peak: float = 1.0) -> jax.Array:
    """Mean squared error of an example in units of the range: a, b [B, ...] to f32[B].

    `peak` is the width of the values' range: 255 for uint8, 2 for values in [-1, 1].
    """
    difference = (jnp.asarray(a, jnp.float32) - jnp.asarray(b, jnp.float32)) / peak
    return jnp.mean(jnp.square(difference), axis=tuple(range(1, difference.ndim)))


def psnr(mse: float, peak: float = 1.0) -> float:
    """Peak signal-to-noise ratio in dB, `10 log10(peak² / mse)`; inf without error.

    The ratio of a set is that of its mean error, not the mean of the ratios of its
    images.
    """
    return 10 * math.log10(peak**2 / mse) if mse else math.inf


def nearest(
    samples: np.ndarray, references: np.ndarray, chunk: int = 512
) -> tuple[np.ndarray, np.ndarray]:
    """The reference nearest to each sample: samples [N, ...], references [M, ...].

    Returns the root mean squared difference f64[N], in the units of a value and exactly
    0 for a copy, and the reference's index i64[N]. Memory grows with `chunk` x M.
    """
    samples, references = _rows(samples), _rows(references)
    index = np.concatenate(
        [
            _squared_distances(samples[i : i + chunk], references).argmin(axis=1)
            for i in range(0, len(samples), chunk)
        ]
    )
    # Taken again from the difference: the expanded square loses half its digits near 0.
    difference = samples - references[index]
    return np.sqrt(np.mean(np.square(difference), axis=1)), index


def mean_pairwise_distance(samples: np.ndarray, chunk: int = 512) -> float:
    """Mean over pairs of samples [N >= 2, ...] of their root mean squared difference.

    In the units of a value; near 0 where all samples are alike. Memory grows with
    `chunk` x N.
    """
    samples = _rows(samples)
    count = len(samples)
    if count < 2:
        raise ValueError(f"pairs need at least 2 samples, not {count}")
    total = sum(
        np.sqrt(_squared_distances(samples[i : i + chunk], samples)).sum()
        for i in range(0, count, chunk)
    )
    return float(total / (count * (count - 1) * math.sqrt(samples.shape[1])))


def _rows(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, np.float64)
    return x.reshape(len(x), -1)


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances f64[N, M] of rows a [N, D] and b [M, D]."""
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)
    return np.maximum(squares - 2 * a @ b.T, 0)
