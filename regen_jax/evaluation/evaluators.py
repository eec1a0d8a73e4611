"""How a trained pipeline is judged: on held-out pairs, and by its samples."""

import contextlib
import dataclasses
import logging
import math
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from regen_jax import ranges
from regen_jax.data.host_features import open_examples
from regen_jax.data.pipeline import Source, evaluation_batches, select
from regen_jax.errors import UserError
from regen_jax.evaluation import held_out_loss
from regen_jax.interfaces import Example, Task, Variables
from regen_jax.metrics.likelihood import bits_per_dim, nats_per_token
from regen_jax.networks.token_logits import counted
from regen_jax.ranges import Count, Natural
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import Array, Tokens, Value

_generate = jax.jit(Regeneration.generate, static_argnums=0)
_reconstruct = jax.jit(Regeneration.reconstruct, static_argnums=0)
_encode = jax.jit(Regeneration.encode, static_argnums=0)
_log_prob = jax.jit(Regeneration.log_prob, static_argnums=0)
_bound = jax.jit(Regeneration.bound, static_argnums=0)
_decode = jax.jit(Regeneration.decode, static_argnums=0)

logger = logging.getLogger("regen_jax")


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """`config.evaluate`.

    Attributes:
      every: steps between reports while a stage trains.
      samples: drawn by the `evaluate` command, at most one per example of the core list
        where Y belongs to an example; 0 is one for each.
      loop_samples: likewise, drawn for a report while the prior trains.
      batch_size: of held-out pairs and of samples; no metric depends on it.
    """

    every: Count = 500
    samples: Natural = 0
    loop_samples: Natural = 200
    batch_size: Count = 250

    def __post_init__(self):
        ranges.check(self)


@contextlib.contextmanager
def attempt(evaluator: str, failed: list[str]) -> Iterator[None]:
    """Logs an exception within its block in one line and adds `evaluator` to `failed`.

    A broken metric ends neither training nor the other metrics.
    """
    try:
        # Divisions by 0 are left out later, by name: see `finite`.
        with np.errstate(all="ignore"):
            yield
    except Exception as error:  # noqa: BLE001
        failed.append(evaluator)
        reason = " ".join(str(error).split())
        if not isinstance(error, UserError):
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(frame.filename).name}:{frame.lineno}"
            reason = f"{type(error).__name__} at {place}: {reason}"
        # At this level only the first of several processes logs.
        logger.info("evaluator %s failed: %s", evaluator, reason)


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Returns the metrics that are finite, as floats; logs the names of the others."""
    kept = {k: float(v) for k, v in metrics.items() if math.isfinite(v)}
    if dropped := [name for name in metrics if name not in kept]:
        logger.info("left out, as not finite: %s", ", ".join(dropped))
    return kept


def example_keys(seed: int, first: int, number: int) -> jax.Array:
    """Returns keys of examples first … first + number - 1; each depends on its index."""
    return held_out_loss.example_keys(jax.random.key(seed), first, number)


def core_examples(task: Task, regeneration: Regeneration, split: str) -> Source:
    """Returns the examples of a split's core list that fit the options."""
    examples = open_examples(task, regeneration, split)
    return select(examples, task.core_list(split).rows)


def sample(
    task: Task,
    regeneration: Regeneration,
    variables: Mapping[str, Variables],
    prompts: Example,
    seed: int = 0,
    batch_size: int = 250,
    first_index: int = 0,
) -> tuple[Any, Any]:
    """Draws y′ [N, …] and restored y [N, …] for a batch of prompts.

    Example i of a seed is the same however many are drawn, in whatever batches. The
    prompts are examples first_index … first_index + N - 1.
    """
    parts = []
    given = regeneration.prompt(prompts)
    number = _count(given)
    batch_size = min(batch_size, number)
    for first in range(0, number, batch_size):
        # Filled up, so that the last batch does not compile anew.
        rows = np.minimum(np.arange(first, first + batch_size), number - 1)
        filled = jax.tree.map(lambda x, rows=rows: x[rows], given)
        keys = example_keys(seed, first_index + first, batch_size)
        drawn = jax.device_get(_generate(regeneration, variables, keys, filled))
        kept = min(batch_size, number - first)
        parts.append(jax.tree.map(lambda x, kept=kept: x[:kept], drawn))
    y_prime, y = _joined(parts)
    return y_prime, task.postprocess(y)


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
    return task.postprocess(jax.device_get(found))


def reconstruct(
    task: Task,
    regeneration: Regeneration,
    variables: Mapping[str, Variables],
    batch_size: int,
    split: str,
) -> tuple[Any, Any]:
    """Returns restored y of a split [N, …], and their reconstructions by Y → Y′ → Y."""
    originals, others = [], []
    examples = open_examples(task, regeneration, split)
    first = 0
    for batch in evaluation_batches(examples, batch_size):
        keys = example_keys(0, first, _count(batch))
        first += _count(batch)
        found = _reconstruct(regeneration, variables, keys, batch)
        others.append(jax.device_get(found))
        originals.append(batch["y"])
    return _joined(originals), task.postprocess(_joined(others))


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
    split: str,
) -> dict[str, float]:
    """Returns likelihoods of a split's core list; empty if the prior has none.

    `prior/nll` is nats per predicted token of Y′, the end of a padded sequence
    included, and `prior/bits_per_dim` that of Y if the abstraction is lossless.
    `pipeline/nll_per_word`, or per another unit of the task, is that of Y: exact for a
    direct model, and for X → Y′ → Y the upper bound of `Regeneration.bound`, so that both
    can be compared.
    """
    if not regeneration.prior.has_log_prob:
        return {}
    examples = core_examples(task, regeneration, split)
    space = regeneration.abstraction.output_space
    nats, tokens, count = 0.0, 0, 0
    bound, units, unit = 0.0, 0, ""
    for batch in evaluation_batches(examples, batch_size):
        nats -= float(_log_prob(regeneration, variables, batch).sum())
        if regeneration.has_bound and (counted := task.likelihood_unit(batch["y"])):
            unit, numbers = counted
            bound -= float(_bound(regeneration, variables, batch).sum())
            units += int(np.sum(numbers))
        y_prime = _encode(regeneration, variables, batch)
        tokens += num_predictions(space, y_prime)
        count += _count(batch)
    metrics = {"prior/nll": nats_per_token(nats, tokens)} if tokens else {}
    if units:
        metrics[f"pipeline/nll_per_{unit}"] = bound / units
    if count and regeneration.abstraction.lossless and isinstance(task.y, Array):
        metrics["prior/bits_per_dim"] = bits_per_dim(nats / count, task.y.size)
    return metrics


def num_predictions(space: Tokens, y_prime: Value) -> int:
    """Returns how many tokens of y′ [N, …] a prior predicts.

    The end of a padded sequence is predicted once, at the first level; padding is not.
    """
    counts = counted(space, y_prime)
    return int(np.size(y_prime) if counts is None else np.sum(counts))


def _count(batch: Any) -> int:
    return len(jax.tree.leaves(batch)[0])


def _joined(parts: list[Any]) -> Any:
    return jax.tree.map(lambda *values: np.concatenate(values), *parts)
