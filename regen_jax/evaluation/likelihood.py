"""Exact likelihoods of held-out pairs."""

import dataclasses
import math

import jax
import numpy as np

from regen_jax.data.pipeline import evaluation_batches
from regen_jax.evaluation.evaluator import EvaluationData, Evaluator, count
from regen_jax.interfaces import RunVariables
from regen_jax.metrics.likelihood import bits_per_dim, nats_per_token
from regen_jax.networks.token_logits import loss_mask
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import Array, Space, Tokens, Value
from regen_jax.training.stage import Report

_encode = jax.jit(Regeneration.encode, static_argnums=0)
_log_prob = jax.jit(Regeneration.log_prob, static_argnums=0)
_bound = jax.jit(Regeneration.bound, static_argnums=0)


@dataclasses.dataclass(frozen=True)
class Likelihood(Evaluator):
    """Likelihoods of the core list; none where the prior has no exact likelihood.

    `prior/nll` is in nats per predicted token of Y′, the end of a padded sequence
    included, and `prior/bits_per_dim` that of Y if the abstraction is lossless.
    `prior/bits` is that of a whole Y′, in bits per example, which compares abstractions.
    `pipeline/nll_per_word`, or per another unit of the task, is that of Y: exact for a
    direct model, and for X → Y′ → Y the upper bound of `Regeneration.bound`, so that both
    can be compared.
    """

    data: EvaluationData

    name = "likelihood"

    def __call__(self, variables: RunVariables, report: Report) -> None:
        """Adds what of these metrics there is."""
        task, regeneration = self.data.task, self.data.regeneration
        if not regeneration.prior.has_log_prob:
            return
        space = regeneration.abstraction.output_space
        nats, num_tokens, num_examples = 0.0, 0, 0
        bound, num_units, unit = 0.0, 0, ""
        for batch in evaluation_batches(self.data.core_examples, self.data.batch_size):
            nats -= float(_log_prob(regeneration, variables, batch).sum())
            if regeneration.has_bound and (units := task.likelihood_unit(batch["y"])):
                unit, counts = units
                bound -= float(_bound(regeneration, variables, batch).sum())
                num_units += int(np.sum(counts))
            y_prime = _encode(regeneration, variables, batch)
            num_tokens += num_predictions(space, y_prime)
            num_examples += count(batch)
        if num_tokens:
            report.scalars["prior/nll"] = float(nats_per_token(nats, num_tokens))
            bits = nats / num_examples / math.log(2)
            report.scalars["prior/bits"] = float(bits)
        if num_units:
            report.scalars[f"pipeline/nll_per_{unit}"] = bound / num_units
        if (
            num_examples
            and regeneration.abstraction.lossless
            and isinstance(task.y, Array)
        ):
            bits = float(bits_per_dim(nats / num_examples, task.y.size))
            report.scalars["prior/bits_per_dim"] = bits


def num_predictions(space: Space, y_prime: Value) -> int:
    """Returns how many tokens of y′ [N, …] a prior predicts; 0 where it is no Tokens.

    The end of a padded sequence is predicted once, at the first level; padding is not.
    """
    if not isinstance(space, Tokens) or not isinstance(y_prime, jax.Array | np.ndarray):
        return 0
    mask = loss_mask(space, y_prime)
    return int(np.size(y_prime) if mask is None else np.sum(mask))
