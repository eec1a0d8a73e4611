"""Codebook usage and perplexity, from code counts over a whole split.

One batch is too small to separate a collapsed codebook from few samples, so sum the counts
of all batches first.
"""

import jax
import jax.numpy as jnp
import numpy as np


def code_counts(codes: jax.Array, vocab: int) -> jax.Array:
    """Counts each code: int[...] in [0, vocab) to i32[vocab]."""
    return jnp.zeros(vocab, jnp.int32).at[codes.reshape(-1)].add(1)


def usage(counts: np.ndarray) -> float:
    """Computes the fraction of codes that occur in counts [vocab], in [0, 1]."""
    return float(np.mean(np.asarray(counts) > 0))


def perplexity(counts: np.ndarray) -> float:
    """Computes exp of the entropy of code counts [vocab], in [1, vocab].

    It equals `vocab` if all codes are equally frequent.

    Raises:
      ValueError: all counts are 0.
    """
    counts = np.asarray(counts, np.float64)
    if not counts.sum() > 0:
        raise ValueError("perplexity needs counts of at least one code")
    probabilities = counts[counts > 0] / counts.sum()
    return float(np.exp(-np.sum(probabilities * np.log(probabilities))))


def summary(counts: np.ndarray) -> dict[str, float]:
    """Computes `codebook_use` and `codebook_perplexity`.

    Args:
      counts: int[vocab], or int[levels, vocab]. For several levels the metrics are means
        over levels, and each level adds its own, such as `codebook_use_1`.
    """
    levels = np.atleast_2d(counts)
    metrics = {}
    for name, metric in (("codebook_use", usage), ("codebook_perplexity", perplexity)):
        values = [metric(level) for level in levels]
        metrics[name] = float(np.mean(values))
        if len(values) > 1:
            metrics |= {f"{name}_{i}": value for i, value in enumerate(values, 1)}
    return metrics
