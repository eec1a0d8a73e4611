"""How a trained pipeline is judged: on held-out pairs, and by its samples."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.data.annotated import open_examples
from regen_jax.data.pipeline import evaluation_batches
from regen_jax.interfaces import Example, Task, Variables
from regen_jax.metrics.likelihood import bits_per_dim, nats_per_token
from regen_jax.ranges import Count
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import Array, lengths

_generate = jax.jit(Regeneration.generate, static_argnums=0)
_reconstruct = jax.jit(Regeneration.reconstruct, static_argnums=0)
_encode = jax.jit(Regeneration.encode, static_argnums=0)
_log_prob = jax.jit(Regeneration.log_prob, static_argnums=0)
_bound = jax.jit(Regeneration.bound, static_argnums=0)
_decode = jax.jit(Regeneration.decode, static_argnums=0)


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """`config.evaluate`.

    Attributes:
      every: steps between reports while a stage trains.
      samples: drawn by the `evaluate` command.
      loop_samples: drawn for a report while the prior trains.
      batch_size: of held-out pairs and of samples.
    """

    every: Count = 500
    samples: Count = 1000
    loop_samples: Count = 200
    batch_size: Count = 250

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(
                    f"{field.name} must be at least 1, not {getattr(self, field.name)}"
                )


def example_keys(seed: int, first: int, number: int) -> jax.Array:
    """Keys of examples first … first + number - 1, whatever else is drawn."""
    key = jax.random.key(seed)
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(number) + first)


def sample(
    task: Task,
    regeneration: Regeneration,
    variables: Mapping[str, Variables],
    prompts: Example,
    seed: int = 0,
    batch_size: int = 250,
) -> tuple[Any, Any]:
    """Draws y′ [N, …] and restored y [N, …] for a batch of prompts.

    Example i of a seed is the same however many are drawn, in whatever batches.
    """
    parts = []
    given = regeneration.prompt(prompts)
    number = _count(given)
    batch_size = min(batch_size, number)
    for first in range(0, number, batch_size):
        # Filled up, so that the last batch does not compile anew.
        rows = np.minimum(np.arange(first, first + batch_size), number - 1)
        filled = jax.tree.map(lambda x, rows=rows: x[rows], given)
        keys = example_keys(seed, first, batch_size)
        drawn = jax.device_get(_generate(regeneration, variables, keys, filled))
        kept = min(batch_size, number - first)
        parts.append(jax.tree.map(lambda x, kept=kept: x[:kept], drawn))
    y_prime, y = _joined(parts)
    return y_prime, task.restore(y)


def decode(
    task: Task,
    regeneration: Regeneration,
    variables: Mapping[str, Variables],
    y_prime: Any,
    seed: int = 0,
) -> Any:
    """Restored y [N, …] of y′ [N, …]: with the keys that `sample` has for its decoder."""
    keys = example_keys(seed, 0, _count(y_prime))
    decoder_keys = jax.vmap(jax.random.split, out_axes=1)(keys)[1]
    found = _decode(regeneration, variables, decoder_keys, y_prime)
    return task.restore(jax.device_get(found))


def reconstruct(
    task: Task,
    regeneration: Regeneration,
    variables: Mapping[str, Variables],
    batch_size: int,
) -> tuple[Any, Any]:
    """Restored y of the test split [N, …], and the same after Y → Y′ → Y."""
    originals, others = [], []
    examples = open_examples(task, regeneration, "test")
    for batch in evaluation_batches(examples, batch_size):
        keys = example_keys(0, 0, _count(batch))
        found = _reconstruct(regeneration, variables, keys, batch)
        others.append(jax.device_get(found))
        originals.append(batch["y"])
    return _joined(originals), task.restore(_joined(others))


def encode(
    regeneration: Regeneration,
    variables: Mapping[str, Variables],
    batch: Example,
    batch_size: int,
) -> Any:
    """y′ [N, …] of a large batch."""
    parts = []
    for first in range(0, _count(batch), batch_size):
        part = jax.tree.map(lambda x, i=first: x[i : i + batch_size], batch)
        parts.append(jax.device_get(_encode(regeneration, variables, part)))
    return _joined(parts)


def likelihood(
    task: Task,
    regeneration: Regeneration,
    variables: Mapping[str, Variables],
    batch_size: int,
) -> dict[str, float]:
    """What the test split costs in nats; empty where the prior has no likelihood.

    `prior/nll` is of a token of Y′, the one that ends a padded sequence among them, and
    `prior/bits_per_dim` of Y where the abstraction is lossless. `pipeline/nll_per_word`,
    or of another unit of the task, is of Y: exact of a direct model, and of X → Y′ → Y
    the upper bound of `Regeneration.bound`, so that both stand on one axis.
    """
    if not regeneration.prior.has_log_prob:
        return {}
    examples = open_examples(task, regeneration, "test")
    space = regeneration.abstraction.y_prime
    nats, tokens, count = 0.0, 0, 0
    bound, units, unit = 0.0, 0, ""
    for batch in evaluation_batches(examples, batch_size):
        nats -= float(_log_prob(regeneration, variables, batch).sum())
        if regeneration.has_bound and (counted := task.units(batch["y"])):
            unit, numbers = counted
            bound -= float(_bound(regeneration, variables, batch).sum())
            units += int(np.sum(numbers))
        ends = np.minimum(
            lengths(space, _encode(regeneration, variables, batch)) + 1, space.length
        )
        tokens += int(ends.sum()) * space.depth
        count += len(ends)
    figures = {"prior/nll": nats_per_token(nats, tokens)}
    if units:
        figures[f"pipeline/nll_per_{unit}"] = bound / units
    if regeneration.abstraction.lossless and isinstance(task.y, Array):
        figures["prior/bits_per_dim"] = bits_per_dim(nats / count, task.y.size)
    return figures


def _count(batch: Any) -> int:
    return len(jax.tree.leaves(batch)[0])


def _joined(parts: list[Any]) -> Any:
    return jax.tree.map(lambda *values: np.concatenate(values), *parts)
