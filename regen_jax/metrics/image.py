"""Distances of images: reconstruction error, nearest neighbors and diversity."""

import math

import jax
import jax.numpy as jnp
import numpy as np


def mse(images: jax.Array, other: jax.Array, peak: float = 1.0) -> jax.Array:
    """Computes the mean squared error per image, relative to the range of values.

    Args:
      images: [B, ...].
      other: [B, ...].
      peak: width of the range: 255 for uint8, 2 for values in [-1, 1].

    Returns:
      f32[B].
    """
    images, other = jnp.asarray(images, jnp.float32), jnp.asarray(other, jnp.float32)
    difference = (images - other) / peak
    return jnp.mean(jnp.square(difference), axis=tuple(range(1, difference.ndim)))


def psnr(mse: float, peak: float = 1.0) -> float:
    """Computes the peak signal-to-noise ratio in dB, `10 log10(peak² / mse)`.

    The ratio of a set is that of its mean error, not the mean of its images' ratios. It
    is infinite if the error is 0.
    """
    return 10 * math.log10(peak**2 / mse) if mse else math.inf


def nearest_neighbors(
    samples: np.ndarray, references: np.ndarray, chunk_size: int = 512
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the nearest reference of each sample.

    Args:
      samples: [N, ...].
      references: [M, ...].
      chunk_size: samples compared at once; memory grows with `chunk_size` x M.

    Returns:
      The root mean squared differences f64[N], in units of a value and exactly 0 for a
      copy, and the indices of the references i64[N].
    """
    samples, references = _flatten(samples), _flatten(references)
    index = np.concatenate(
        [
            _squared_distances(samples[i : i + chunk_size], references).argmin(axis=1)
            for i in range(0, len(samples), chunk_size)
        ]
    )
    # Computed again from the difference: the expanded square loses half its digits
    # near 0.
    difference = samples - references[index]
    return np.sqrt(np.mean(np.square(difference), axis=1)), index


def mean_pairwise_distance(samples: np.ndarray, chunk_size: int = 512) -> float:
    """Computes the mean root mean squared difference over all pairs of samples.

    It is near 0 if all samples are alike.

    Args:
      samples: [N >= 2, ...].
      chunk_size: samples compared at once; memory grows with `chunk_size` x N.

    Returns:
      The mean distance in units of a value.

    Raises:
      ValueError: there are fewer than two samples.
    """
    samples = _flatten(samples)
    count = len(samples)
    if count < 2:
        raise ValueError(f"pairs need at least 2 samples, not {count}")
    total = sum(
        np.sqrt(_squared_distances(samples[i : i + chunk_size], samples)).sum()
        for i in range(0, count, chunk_size)
    )
    return float(total / (count * (count - 1) * math.sqrt(samples.shape[1])))


def edge_f1(edges: np.ndarray, reference: np.ndarray) -> float:
    """Computes the F-measure of edge pixels over a set, with a tolerance of a pixel.

    Precision is the fraction of the edge pixels that have one of the reference among
    themselves and their eight neighbors, and recall the same of the reference's pixels
    (after Martin, Fowlkes and Malik, IEEE TPAMI 26, 2004, section 4.1, whose pixels are
    matched one to one).

    Args:
      edges: bool[N, H, W].
      reference: bool[N, H, W].

    Returns:
      From 0 to 1; 1 where neither has an edge.
    """
    if not (edges.any() or reference.any()):
        return 1.0
    matched = np.sum(edges & _dilated(reference)), np.sum(reference & _dilated(edges))
    if not all(matched):
        return 0.0
    precision, recall = matched[0] / edges.sum(), matched[1] / reference.sum()
    return float(2 * precision * recall / (precision + recall))


def _dilated(mask: np.ndarray) -> np.ndarray:
    """Adds the eight neighbors of each pixel to a mask bool[N, H, W]."""
    _, height, width = mask.shape
    padded = np.pad(mask, ((0, 0), (1, 1), (1, 1)))
    shifted = [padded[:, i : i + height, j : j + width] for i, j in np.ndindex(3, 3)]
    return np.any(shifted, axis=0)


def _flatten(images: np.ndarray) -> np.ndarray:
    """Reshapes [N, ...] to f64[N, D]."""
    images = np.asarray(images, np.float64)
    return images.reshape(len(images), -1)


def _squared_distances(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Computes squared Euclidean distances of f64[N, D] and f64[M, D], f64[N, M]."""
    squares = (rows**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)
    return np.maximum(squares - 2 * rows @ others.T, 0)
