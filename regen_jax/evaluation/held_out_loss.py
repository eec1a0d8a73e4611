"""A stage's objective over a whole held-out split."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.training.stage import Batch, Frozen, Stage, Tree


def example_keys(rng: jax.Array, first: int, number: int) -> jax.Array:
    """Returns keys of examples first … first + number - 1, one per example.

    The key of an example depends on its index alone, not on the batch it is in.
    """
    return jax.vmap(jax.random.fold_in, (None, 0))(rng, jnp.arange(number) + first)


def held_out(
    stage: Stage, batches: Callable[[], Iterator[Batch]], rng: jax.Array
) -> Callable[[Tree, Frozen], dict[str, float]]:
    """Returns a function of (variables, frozen) to means over a pass of the batches.

    Every example has the same key at every pass and at any batch size, so that metrics
    compare.
    """

    @jax.jit
    def part(variables, frozen, first, batch):
        keys = example_keys(rng, first, jax.tree.leaves(batch)[0].shape[0])
        objective = stage.loss(variables, frozen, keys, batch, False)
        return objective.weighted_sums(), objective.sums

    def means(variables: Tree, frozen: Frozen) -> dict[str, float]:
        parts = []
        count = 0
        for batch in batches():
            parts.append(part(variables, frozen, count, batch))
            count += len(jax.tree.leaves(batch)[0])
        sums, totals = jax.tree.map(
            lambda *values: np.sum(values, axis=0), *jax.device_get(parts)
        )
        means = {name: float(total / weight) for name, (total, weight) in sums.items()}
        return stage.summarize(means, totals)

    return means
