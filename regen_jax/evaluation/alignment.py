"""Renders where the prior attends in its source."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.data.pipeline import first_batch
from regen_jax.evaluation.evaluator import EvaluationData, Evaluator
from regen_jax.interfaces import RunVariables
from regen_jax.media.heatmaps import render_alignment
from regen_jax.spaces import Category, Record, lengths
from regen_jax.training.stage import Report


@dataclasses.dataclass(frozen=True)
class Alignment(Evaluator):
    """Renders the prior's alignment for the first held-out example, if it has one."""

    data: EvaluationData

    name = "alignment"

    def __call__(self, variables: RunVariables, report: Report) -> None:
        """Adds the image `alignment`."""
        batch = first_batch(self.data.examples, 1)
        aligned = jax.device_get(self._align(variables, batch))
        if aligned is None:
            return
        weights, length = aligned
        # The token that ends a sequence is shown, padding is not.
        rows = weights[0, : length[0] + 1]
        last = np.max(np.flatnonzero(rows.max(axis=0)), initial=0)
        report.media.images["alignment"] = render_alignment(rows[:, : last + 1])

    @functools.cached_property
    def _align(self) -> Callable[..., Any]:
        regeneration = self.data.regeneration

        @jax.jit
        def align(variables, batch):
            x_prime = regeneration.represent(variables, batch)
            y_prime = regeneration.encode(variables, batch)
            weights = regeneration.prior.alignment(variables["prior"], x_prime, y_prime)
            if weights is None:
                return None
            space = regeneration.abstraction.output_space
            if isinstance(space, Record | Category):
                # Which field the rows are of, the generator knows.
                return weights, jnp.full(len(weights), weights.shape[1])
            return weights, lengths(space, y_prime)

        return align
