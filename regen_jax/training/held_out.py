"""A stage's objective over a whole held-out split."""

from collections.abc import Callable, Iterator

import jax
import numpy as np

from regen_jax.training.stage import Batch, Frozen, Stage, Tree


def held_out(
    stage: Stage, batches: Callable[[], Iterator[Batch]], rng: jax.Array
) -> Callable[[Tree, Frozen], dict[str, float]]:
    """A function of (variables, frozen) to means over a pass of the batches.

    The same random numbers are used at every pass, so that figures can be compared.
    """

    @jax.jit
    def part(variables, frozen, rng, batch):
        keys = jax.random.split(rng, jax.tree.leaves(batch)[0].shape[0])
        objective = stage.loss(variables, frozen, keys, batch, False)
        return objective.sums(), objective.totals

    def means(variables: Tree, frozen: Frozen) -> dict[str, float]:
        parts = []
        for index, batch in enumerate(batches()):
            part_rng = jax.random.fold_in(rng, index)
            parts.append(part(variables, frozen, part_rng, batch))
        sums, totals = jax.tree.map(
            lambda *values: np.sum(values, axis=0), *jax.device_get(parts)
        )
        means = {name: float(total / weight) for name, (total, weight) in sums.items()}
        return stage.summarize(means, totals)

    return means
