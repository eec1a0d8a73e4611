"""Loss terms: what they return, and how several add up to the loss of one model."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from regen_jax.loss_output import LossOutput
from regen_jax.ranges import Checked, Natural, NonNegative
from regen_jax.spaces import Space, Value

Params = Mapping[str, Any]
Variables = Mapping[str, Any]


class TermLoss(NamedTuple):
    """What a loss term returns for a batch.

    Attributes:
      loss: f32[B], which the term's weight multiplies.
      metrics: f32[B] each, by name.
      own_loss: f32[B], which trains the term's own parameters and no others; the weight
        does not multiply it.
    """

    loss: jax.Array
    metrics: dict[str, jax.Array]
    own_loss: jax.Array | float = 0.0


@dataclasses.dataclass(frozen=True)
class LossTerm(Checked, abc.ABC):
    """The distance of predictions to targets, one value per example.

    A subclass is a frozen dataclass of options in a module of its own, whose name is that
    of the term in configs. It may own parameters, such as those of discriminators: they
    are at `losses/<name>` in the parameters of the model that it trains.

    Attributes:
      weight: factor of the loss; 0 turns the term off, and it has no parameters then.
      start: training steps before the term counts.
    """

    registry: ClassVar[str] = "regen_jax.losses"

    weight: NonNegative = 1.0
    start: Natural = 0

    @property
    def name(self) -> str:
        """The name of the term in configs, and of its parameters."""
        return type(self).__module__.rpartition(".")[2]

    @abc.abstractmethod
    def check(self, space: Space) -> None:
        """Raises a ValueError where targets of that space have no such loss."""

    def init(self, rng: jax.Array, space: Space) -> Params:
        """Returns the term's own parameters at the start of training."""
        return {}

    @abc.abstractmethod
    def __call__(
        self, params: Params, space: Space, prediction: jax.Array, target: Value
    ) -> TermLoss:
        """Compares predictions with targets.

        Args:
          params: the term's own parameters.
          space: the space of the targets. A batch of segments has a smaller first axis.
          prediction: f32[B, ...], the output of the network.
          target: [B, *space.shape], in the units of the prediction.
        """

    def example_weights(self, space: Space, target: Value) -> dict[str, jax.Array]:
        """Returns `LossOutput.weights` of the batch; by default every example weighs 1."""
        return {}


def check_terms(terms: Sequence[LossTerm], space: Space) -> None:
    """Raises a ValueError where the terms do not fit a space or one another."""
    names = [term.name for term in terms]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"losses must differ, but {repeated[0]!r} is there twice")
    if not _active(terms):
        raise ValueError("losses must be one term or more with a weight above 0")
    for term in terms:
        term.check(space)


def init_terms(terms: Sequence[LossTerm], rng: jax.Array, space: Space) -> Variables:
    """Returns what the terms add to a model's variables, by collection.

    `params` has `losses`, the parameters of each term that owns some. `progress` counts
    the steps, where a term starts late.
    """
    active = _active(terms)
    rngs = jax.random.split(rng, len(active))
    params = {
        term.name: term.init(rng, space) for term, rng in zip(active, rngs, strict=True)
    }
    params = {name: own for name, own in params.items() if own}
    variables = {"params": {"losses": params} if params else {}}
    if any(term.start for term in active):
        variables["progress"] = {"step": jnp.zeros((), jnp.int32)}
    return variables


def total_loss(
    terms: Sequence[LossTerm],
    variables: Variables,
    space: Space,
    prediction: jax.Array,
    target: Value,
) -> LossOutput:
    """Adds up the terms: weighted losses, and losses of the terms' own parameters.

    Metrics are those of all terms, and are 0 before a term starts. For `variables`, see
    `init_terms`; for the rest, `LossTerm.__call__`.
    """
    total, metrics, weights = 0.0, {}, {}
    for term in _active(terms):
        params = variables["params"].get("losses", {}).get(term.name, {})
        result = _after_start(term, variables, params, space, prediction, target)
        total += term.weight * result.loss + result.own_loss
        metrics |= result.metrics
        weights |= term.example_weights(space, target)
    return LossOutput(total, metrics, weights=weights)


def count_step(variables: Variables) -> Variables:
    """Returns a model's variables with the step of `init_terms` counted."""
    if "progress" not in variables:
        return variables
    return {**variables, "progress": {"step": variables["progress"]["step"] + 1}}


def _active(terms: Sequence[LossTerm]) -> list[LossTerm]:
    return [term for term in terms if term.weight]


def _after_start(
    term: LossTerm,
    variables: Variables,
    params: Params,
    space: Space,
    prediction: jax.Array,
    target: Value,
) -> TermLoss:
    """The term's loss, zeros before its start."""

    def compute(params: Params, prediction: jax.Array, target: Value) -> TermLoss:
        return term(params, space, prediction, target)

    if not term.start:
        return compute(params, prediction, target)

    def zeros(*operands: Any) -> TermLoss:
        return jax.tree.map(jnp.zeros_like, jax.eval_shape(compute, *operands))

    # The branch not taken costs nothing.
    started = variables["progress"]["step"] >= term.start
    return jax.lax.cond(started, compute, zeros, params, prediction, target)
