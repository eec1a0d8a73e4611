"""How a trained pipeline is judged: on held-out pairs, and by its samples."""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.data.pipeline import evaluation_batches
from regen_jax.interfaces import Task, Variables
from regen_jax.metrics.likelihood import bits_per_dim, nats_per_token
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import Array

_generate = jax.jit(Regeneration.generate, static_argnums=0)
_reconstruct = jax.jit(Regeneration.reconstruct, static_argnums=0)
_log_prob = jax.jit(Regeneration.log_prob, static_argnums=0)


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """`config.evaluate`.

    Attributes:
      every: steps between reports while a stage trains.
      samples: drawn by the `evaluate` command.
      loop_samples: drawn for a report while the prior trains.
      batch_size: of held-out pairs and of samples.
    """

    every: int = 500
    samples: int = 1000
    loop_samples: int = 200
    batch_size: int = 250

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
    x: np.ndarray,
    seed: int = 0,
    batch_size: int = 250,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws y′ [N, …] and restored y [N, …] for x [N, …].

    Example i of a seed is the same however many are drawn, in whatever batches.
    """
    parts = []
    batch_size = min(batch_size, len(x))
    for first in range(0, len(x), batch_size):
        part = x[first : first + batch_size]
        # Filled up, so that the last batch does not compile anew.
        filled = np.concatenate(
            [part, np.repeat(x[:1], batch_size - len(part), axis=0)]
        )
        keys = example_keys(seed, first, batch_size)
        drawn = jax.device_get(_generate(regeneration, variables, keys, filled))
        parts.append([value[: len(part)] for value in drawn])
    y_prime, y = (np.concatenate(part) for part in zip(*parts, strict=True))
    return y_prime, task.restore(y)


def reconstruct(
    task: Task,
    regeneration: Regeneration,
    variables: Mapping[str, Variables],
    batch_size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Restored y of the test split [N, …], and the same after Y → Y′ → Y."""
    originals, others = [], []
    for batch in evaluation_batches(task.examples("test"), batch_size):
        keys = example_keys(0, 0, len(batch["y"]))
        others.append(_reconstruct(regeneration, variables, keys, batch["y"]))
        originals.append(batch["y"])
    return np.concatenate(originals), task.restore(np.concatenate(others))


def likelihood(
    task: Task,
    regeneration: Regeneration,
    variables: Mapping[str, Variables],
    batch_size: int,
) -> dict[str, float]:
    """`nll`, nats a token of Y′ on the test split; empty where the prior has none.

    Also `bits_per_dim` of Y where the abstraction is lossless.
    """
    if not regeneration.prior.has_log_prob:
        return {}
    batches = evaluation_batches(task.examples("test"), batch_size)
    nats = [
        -_log_prob(regeneration, variables, batch["x"], batch["y"]) for batch in batches
    ]
    mean = float(np.mean(np.concatenate(nats)))
    tokens = int(np.prod(regeneration.abstraction.y_prime.shape))
    figures = {"nll": nats_per_token(mean, tokens)}
    if regeneration.abstraction.lossless and isinstance(task.y, Array):
        figures["bits_per_dim"] = bits_per_dim(mean, task.y.size)
    return figures
