"""How much of a codebook is in use, from counts over a whole split.

A batch is too small to tell a collapsed codebook from an unlucky one, so sum the counts
of all batches first.
"""

import jax
import jax.numpy as jnp
import numpy as np


def code_counts(codes: jax.Array, vocab: int) -> jax.Array:
    """How often each code occurs: codes int[...] in [0, vocab) to i32[vocab]."""
    return jnp.zeros(vocab, jnp.int32).at[codes.reshape(-1)].add(1)


def use(counts: np.ndarray) -> float:
    """Share of the codes of counts [vocab] that occur at all, in [0, 1]."""
    return float(np.mean(np.asarray(counts) > 0))


def perplexity(counts: np.ndarray) -> float:
    """exp of the entropy of the codes in counts [vocab], in [1, vocab].

    It equals `vocab` where all codes are equally frequent. Raises ValueError where
    nothing was counted.
    """
    counts = np.asarray(counts, np.float64)
    if not counts.sum() > 0:
        raise ValueError("perplexity needs counts of at least one code")
    share = counts[counts > 0] / counts.sum()
    return float(np.exp(-np.sum(share * np.log(share))))


def summary(counts: np.ndarray) -> dict[str, float]:
    """`codebook_use` and `codebook_perplexity` of counts [vocab] or [levels, vocab].

    Of several levels the mean, and each of them as `codebook_use_1` and so on.
    """
    levels = np.atleast_2d(counts)
    figures = {}
    for name, of in (("codebook_use", use), ("codebook_perplexity", perplexity)):
        values = [of(level) for level in levels]
        figures[name] = float(np.mean(values))
        if len(values) > 1:
            figures |= {f"{name}_{i}": value for i, value in enumerate(values, 1)}
    return figures
