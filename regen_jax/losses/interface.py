"""Loss terms: what they return, and how several add up to the loss of one model."""

import abc
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from regen_jax.loss_output import LossOutput
from regen_jax.losses.adaptive_weight import (
    LastLayer,
    adaptive_weight,
    predict_with_last_layer,
)
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
    is_pretrained: ClassVar[bool] = False
    """Whether its parameters come from `pretrained` and stay as they are."""
    # A class variable of dataclasses would come before `weight` where it is an option.
    adaptive = False
    """Whether its weight is multiplied by `adaptive_weight`."""

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
        """Returns the term's own parameters at the start of training.

        Where `is_pretrained`, only their shapes matter.
        """
        return {}

    def pretrained(self, space: Space, stages: Mapping[str, Variables]) -> Params:
        """Returns parameters that were trained before; only where `is_pretrained`.

        Args:
          space: the space of the targets.
          stages: variables of the finished stages by name, or their shapes.

        Raises:
          UserError: there are none, or they do not fit.
        """
        raise NotImplementedError(f"loss '{self.name}' has no pretrained parameters")

    @abc.abstractmethod
    def __call__(
        self, params: Params, space: Space, prediction: jax.Array, target: Value
    ) -> TermLoss:
        """Compares predictions with targets.

        Args:
          params: the term's own parameters, trained or pretrained.
          space: the space of the targets. A batch of segments has a smaller first axis.
          prediction: f32[B, ...], the output of the network.
          target: [B, *space.shape], in the units of the prediction.
        """

    def example_weights(self, space: Space, target: Value) -> dict[str, jax.Array]:
        """Returns `LossOutput.weights` of the batch; by default every example weighs 1."""
        return {}


def check_terms(
    terms: Sequence[LossTerm], space: Space, last_layer: Sequence[str] = ()
) -> None:
    """Raises a ValueError where the terms do not fit a space or one another.

    Args:
      terms: of a model.
      space: of the targets.
      last_layer: path of the model's last kernel; empty where it has none.
    """
    names = [term.name for term in terms]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"losses must differ, but {repeated[0]!r} is there twice")
    if not _active(terms):
        raise ValueError("losses must be one term or more with a weight above 0")
    for term in terms:
        term.check(space)
    adaptive = [term for term in _active(terms) if term.adaptive]
    if adaptive and not last_layer:
        raise ValueError(
            f"loss {adaptive[0].name!r} cannot be adaptive, since the networks name no "
            "last layer: set adaptive=False"
        )
    if adaptive and adaptive == _active(terms):
        raise ValueError(
            f"loss {adaptive[0].name!r} cannot be adaptive by itself: add another loss, "
            "to whose gradient its own is scaled"
        )


def init_terms(terms: Sequence[LossTerm], rng: jax.Array, space: Space) -> Variables:
    """Returns what the terms add to a model's variables, by collection.

    `params` has `losses`, the parameters of each term that owns some. `pretrained` has
    those that are not trained. `progress` counts the steps, where a term starts late.
    """
    active = _active(terms)
    rngs = jax.random.split(rng, len(active))
    trained, pretrained = {}, {}
    for term, term_rng in zip(active, rngs, strict=True):
        if params := term.init(term_rng, space):
            (pretrained if term.is_pretrained else trained)[term.name] = params
    variables = {"params": {"losses": trained} if trained else {}}
    if pretrained:
        variables["pretrained"] = pretrained
    if any(term.start for term in active):
        variables["progress"] = {"step": jnp.zeros((), jnp.int32)}
    return variables


def starts_pretrained(terms: Sequence[LossTerm]) -> bool:
    """Returns whether `pretrained_terms` returns any parameters."""
    return any(term.is_pretrained for term in _active(terms))


def pretrained_terms(
    terms: Sequence[LossTerm], space: Space, stages: Mapping[str, Variables]
) -> Variables:
    """Returns the collection `pretrained` of `init_terms` as `LossTerm.pretrained` is."""
    pretrained = [term for term in _active(terms) if term.is_pretrained]
    params = {term.name: term.pretrained(space, stages) for term in pretrained}
    return {"pretrained": params} if params else {}


def predict(
    terms: Sequence[LossTerm],
    apply: Callable[[Params], jax.Array],
    params: Params,
    last_layer: tuple[str, ...],
) -> tuple[jax.Array, LastLayer | None]:
    """Returns `apply(params)`, and what adaptive weights need where a term has one.

    Args:
      terms: of the model.
      apply: the model from its parameters to a prediction.
      params: its parameters.
      last_layer: path of the last kernel among them.
    """
    if any(term.adaptive for term in _active(terms)):
        return predict_with_last_layer(apply, params, last_layer)
    return apply(params), None


def total_loss(
    terms: Sequence[LossTerm],
    variables: Variables,
    space: Space,
    prediction: jax.Array,
    target: Value,
    last_layer: LastLayer | None = None,
) -> LossOutput:
    """Adds up the terms: weighted losses, and losses of the terms' own parameters.

    Metrics are those of all terms, and are 0 before a term starts. For `variables`, see
    `init_terms`, and for `last_layer`, see `predict`; for the rest, `LossTerm.__call__`.
    """
    own = {
        **variables.get("pretrained", {}),
        **variables["params"].get("losses", {}),
    }

    def scaled(term: LossTerm, params: Params, prediction: jax.Array) -> TermLoss:
        result = term(params, space, prediction, target)
        if not term.adaptive or last_layer is None:
            return result
        factor = adaptive_weight(
            last_layer,
            reconstruction_loss,
            lambda prediction: term(params, space, prediction, target).loss.mean(),
            prediction,
        )
        metrics = {"adaptive_weight": jnp.full_like(result.loss, factor)}
        return result._replace(
            loss=factor * result.loss, metrics=result.metrics | metrics
        )

    def compute(term: LossTerm, prediction: jax.Array) -> TermLoss:
        params = own.get(term.name, {})
        return _after_start(
            term, variables, functools.partial(scaled, term), params, prediction
        )

    def reconstruction_loss(prediction: jax.Array) -> jax.Array:
        others = [term for term in _active(terms) if not term.adaptive]
        return sum(t.weight * compute(t, prediction).loss.mean() for t in others)

    total, metrics, weights = 0.0, {}, {}
    for term in _active(terms):
        result = compute(term, prediction)
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
    compute: Callable[[Params, jax.Array], TermLoss],
    params: Params,
    prediction: jax.Array,
) -> TermLoss:
    """Returns what `compute` does from the term's start on, and zeros before."""
    if not term.start:
        return compute(params, prediction)

    def zeros(*operands: Any) -> TermLoss:
        return jax.tree.map(jnp.zeros_like, jax.eval_shape(compute, *operands))

    # The branch not taken costs nothing.
    started = variables["progress"]["step"] >= term.start
    return jax.lax.cond(started, compute, zeros, params, prediction)
