"""Sinusoidal embeddings of times and of positions on a grid."""

import math

import jax
import jax.numpy as jnp
import numpy as np


def sinusoids(positions: jax.Array, size: int, longest: float = 10_000) -> jax.Array:
    """Returns cosines, then sines, of positions [...]: f32[..., size], `size` even.

    Wavelengths rise geometrically from 2π to 2π · `longest` (Vaswani et al., 2017,
    arXiv 1706.03762, section 3.5).
    """
    half = size // 2
    frequencies = np.exp(-math.log(longest) / max(half, 1) * np.arange(half))
    angles = jnp.asarray(positions, jnp.float32)[..., None] * frequencies
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)


def grid_positions(grid: tuple[int, ...], width: int) -> jax.Array:
    """Returns sinusoids of each coordinate side by side: f32[prod(grid), width]."""
    size = 2 * (width // (2 * max(len(grid), 1)))
    coordinates = np.indices(grid).reshape(len(grid), math.prod(grid))
    table = [sinusoids(axis, size) for axis in coordinates]
    used = size * len(grid)
    return jnp.concatenate([*table, jnp.zeros((math.prod(grid), width - used))], axis=1)
