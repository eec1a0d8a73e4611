"""From a task and its pipeline to the stages of a run, in the order they train."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

import jax

from regen_jax.evaluation.alignment import Alignment
from regen_jax.evaluation.evaluator import EvaluationData, Evaluator
from regen_jax.evaluation.likelihood import Likelihood
from regen_jax.evaluation.reconstructions import Reconstructions
from regen_jax.evaluation.reporter import Reporter
from regen_jax.evaluation.samples import Samples
from regen_jax.interfaces import Abstraction, Generator, Judge, Passes, Task
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import Value, to_dtype
from regen_jax.training.stage import Batch, Frozen, Stage

Pair = Callable[[Frozen, Batch], tuple[Value, Value]]
"""Source and target of a generator, from the variables of finished stages and a batch."""
MakeEvaluators = Callable[[EvaluationData, Stage], Sequence[Evaluator]]


def make_stages(
    task: Task, parts: Regeneration, data: EvaluationData | None = None
) -> list[Stage]:
    """Returns the task's judges, then the learned parts: source to prior.

    The decoder needs nothing of the prior, and comes before it so that the prior can
    be evaluated by whole samples while it trains.

    Args:
      task: trains its judges as stages.
      parts: the pipeline: source, abstraction, decoder and prior are stages if learned.
      data: what reports are on; None for stages that report nothing.
    """
    stages = [_with_report(_judge_stage(*judge), data) for judge in task.judges.items()]
    if parts.source.learned:
        stage = abstraction_stage("source", parts.source, "x")
        stages.append(_with_report(stage, data))
    if parts.abstraction.learned:
        stage = abstraction_stage("abstraction", parts.abstraction, "y")
        # Where there is a decoder, it is what reconstructs.
        inverse = parts.decoder is None
        stages.append(_with_report(stage, data, _reconstructing if inverse else _none))
    if parts.decoder is not None:
        stage = _decoder_stage(parts, parts.decoder)
        stages.append(_with_report(stage, data, _reconstructing))
    stages.append(_with_report(_prior_stage(parts), data, _sampling))
    return stages


def _judge_stage(name: str, judge: Judge) -> Stage:
    def loss(variables, frozen, keys, batch, train):
        return judge.loss(variables, keys, batch["x"], batch["y"], train)

    return Stage(name, lambda rng, batch: judge.init(rng, batch["x"], batch["y"]), loss)


def abstraction_stage(name: str, abstraction: Abstraction, field: str) -> Stage:
    """Returns the stage of that name, which trains on `field` of a batch, `x` or `y`."""

    def init(rng, batch):
        return abstraction.init(rng, to_dtype(abstraction.input_space, batch[field]))

    def loss(variables, frozen, keys, batch, train):
        y = to_dtype(abstraction.input_space, batch[field])
        return abstraction.loss(variables, keys, y, train)

    def finalize(variables, frozen, batches):
        def values() -> Iterator[Value]:
            return (
                to_dtype(abstraction.input_space, batch[field]) for batch in batches
            )

        return abstraction.finalize(variables, Passes(values))

    def check_data(batches: Iterable[Batch]) -> None:
        abstraction.check_data(Passes(lambda: (batch[field] for batch in batches)))

    return Stage(
        name,
        init,
        loss,
        abstraction.update,
        abstraction.summarize,
        finalize=finalize,
        pretrained=abstraction.pretrained if abstraction.starts_pretrained else None,
        check_data=check_data,
        parametric=abstraction.parametric,
    )


def _decoder_stage(parts: Regeneration, decoder: Generator) -> Stage:
    def pair(frozen: Frozen, batch: Batch) -> tuple[Value, Value]:
        y_prime = parts.encode(frozen, batch)
        return y_prime, to_dtype(decoder.target_space, batch["y"])

    return _generator_stage("decoder", decoder, pair)


def _prior_stage(parts: Regeneration) -> Stage:
    def pair(frozen: Frozen, batch: Batch) -> tuple[Value, Value]:
        return parts.represent(frozen, batch), parts.encode(frozen, batch)

    return _generator_stage("prior", parts.prior, pair)


def _generator_stage(name: str, generator: Generator, pair: Pair) -> Stage:
    def loss(variables, frozen, keys, batch, train):
        return generator.loss(variables, keys, *pair(frozen, batch), train)

    def finalize(variables, frozen, batches):
        jitted = jax.jit(pair)
        pairs = Passes(lambda: (jitted(frozen, batch) for batch in batches))
        return generator.finalize(variables, pairs)

    return Stage(
        name,
        lambda rng, batch: generator.init(rng),
        loss,
        generator.update,
        finalize=finalize,
        parametric=generator.parametric,
    )


def _none(data: EvaluationData, stage: Stage) -> Sequence[Evaluator]:
    return ()


def _reconstructing(data: EvaluationData, stage: Stage) -> Sequence[Evaluator]:
    return (Reconstructions(data, stage.name),)


def _sampling(data: EvaluationData, stage: Stage) -> Sequence[Evaluator]:
    return Likelihood(data), Alignment(data), Samples(data)


def _with_report(
    stage: Stage, data: EvaluationData | None, make_evaluators: MakeEvaluators = _none
) -> Stage:
    """Adds a report on the objective and by other evaluators to a stage."""
    if data is None:
        return stage
    return dataclasses.replace(stage, report=Reporter(data, stage, make_evaluators))
