"""What a loss returns: values per example and statistics, to be reduced outside models."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

_average: contextvars.ContextVar[Callable[[Any], Any]] = contextvars.ContextVar(
    "average", default=lambda x: x
)

_gather: contextvars.ContextVar[Callable[[Any], Any]] = contextvars.ContextVar(
    "gather", default=lambda x: x
)


@flax.struct.dataclass
class LossOutput:
    """What a loss returns: an entry per example, so that any split of a batch agrees.

    Attributes:
      loss: f32[B], what training minimizes the mean of.
      metrics: f32[B] each, whose means are logged.
      sums: statistics summed over examples, such as code counts f32[K].
      per_example: statistics kept per example, [B, ...], such as candidates for the
        revival of dead codes.
      weights: f32[B] each, the weight of an example in the mean of the metric of that
        name, or of `loss`, such as its number of tokens; 1 where there is none.
    """

    loss: jax.Array
    metrics: dict[str, jax.Array] = flax.struct.field(default_factory=dict)
    sums: dict[str, jax.Array] = flax.struct.field(default_factory=dict)
    per_example: dict[str, jax.Array] = flax.struct.field(default_factory=dict)
    weights: dict[str, jax.Array] = flax.struct.field(default_factory=dict)

    def weighted_sums(self) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Returns Σ weight · value and Σ weight, of `loss` and of each metric.

        Over the batches of a split both are added up, and then divided.
        """
        values = {"loss": self.loss, **self.metrics}
        ones = jnp.ones_like(self.loss)
        weights = {name: self.weights.get(name, ones) for name in values}
        return {
            name: (jnp.sum(weights[name] * value), jnp.sum(weights[name]))
            for name, value in values.items()
        }


def masked_mean(x: jax.Array, mask: jax.Array | None) -> jax.Array:
    """Returns f32[B], the mean of x [B, ...] where the mask is true; None is all.

    The mean of nothing is 0.
    """
    axes = tuple(range(1, x.ndim))
    if mask is None:
        return x.mean(axis=axes)
    # Not a product with the mask: 0 times infinity is NaN.
    return jnp.where(mask, x, 0).sum(axes) / jnp.maximum(mask.sum(axes), 1)


def global_mean(x: Any) -> Any:
    """Returns means over the global batch, for losses that are not means over examples.

    Such as the entropy of the mean of code probabilities. A training step of several
    micro-batches has such a mean for each of them; so has an evaluation for each batch.

    Args:
      x: a tree of means over the examples that the loss is given. On several devices
        these may be a part of the global batch.
    """
    return _average.get()(x)


def global_batch(x: Any) -> Any:
    """Returns arrays of all examples of the global batch, for losses that compare them.

    Such as a contrastive loss, whose negatives are the other examples. What holds of
    micro-batches and of evaluation is said at `global_mean`.

    Args:
      x: a tree of arrays [B, ...] of the examples that the loss is given.

    Returns:
      The tree with arrays [N, ...] of all examples, which include the given ones.
    """
    return _gather.get()(x)


@contextlib.contextmanager
def averaging_by(
    average: Callable[[Any], Any], gather: Callable[[Any], Any] = lambda x: x
) -> Iterator[None]:
    """Makes `global_mean` call `average` and `global_batch` `gather`, in a trace."""
    tokens = _average.set(average), _gather.set(gather)
    try:
        yield
    finally:
        _average.reset(tokens[0])
        _gather.reset(tokens[1])
