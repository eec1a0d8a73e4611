"""From a task and its pipeline to the stages of a run, in the order they train."""

import dataclasses
from collections.abc import Callable, Sequence

from regen_jax.evaluation.alignment import Alignment
from regen_jax.evaluation.evaluator import EvaluationData, Evaluator
from regen_jax.evaluation.gap import Gap
from regen_jax.evaluation.likelihood import Likelihood
from regen_jax.evaluation.reconstructions import Reconstructions
from regen_jax.evaluation.reporter import Reporter
from regen_jax.evaluation.samples import Samples
from regen_jax.interfaces import Abstraction, Generator, Judge, Task
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import to_dtype
from regen_jax.training.stage import Stage

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
        stage = _abstraction_stage("source", parts.source, "x")
        stages.append(_with_report(stage, data))
    if parts.abstraction.learned:
        stage = _abstraction_stage("abstraction", parts.abstraction, "y")
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


def _abstraction_stage(name: str, abstraction: Abstraction, what: str) -> Stage:
    def init(rng, batch):
        return abstraction.init(rng, to_dtype(abstraction.input_space, batch[what]))

    def loss(variables, frozen, keys, batch, train):
        y = to_dtype(abstraction.input_space, batch[what])
        return abstraction.loss(variables, keys, y, train)

    def finalize(variables, frozen, batches):
        values = (to_dtype(abstraction.input_space, batch[what]) for batch in batches)
        return abstraction.finalize(variables, values)

    return Stage(
        name,
        init,
        loss,
        abstraction.update,
        abstraction.summarize,
        finalize=finalize,
    )


def _decoder_stage(parts: Regeneration, decoder: Generator) -> Stage:
    def loss(variables, frozen, keys, batch, train):
        y_prime = parts.encode(frozen, batch)
        y = to_dtype(decoder.target_space, batch["y"])
        return decoder.loss(variables, keys, y_prime, y, train)

    return Stage("decoder", lambda rng, batch: decoder.init(rng), loss, decoder.update)


def _prior_stage(parts: Regeneration) -> Stage:
    prior = parts.prior

    def loss(variables, frozen, keys, batch, train):
        x_prime = parts.represent(frozen, batch)
        y_prime = parts.encode(frozen, batch)
        return prior.loss(variables, keys, x_prime, y_prime, train)

    return Stage("prior", lambda rng, batch: prior.init(rng), loss, prior.update)


def _none(data: EvaluationData, stage: Stage) -> Sequence[Evaluator]:
    return ()


def _reconstructing(data: EvaluationData, stage: Stage) -> Sequence[Evaluator]:
    return (Reconstructions(data, stage.name),)


def _sampling(data: EvaluationData, stage: Stage) -> Sequence[Evaluator]:
    samples = Samples(data)
    return Likelihood(data), Alignment(data), samples, Gap(data, samples)


def _with_report(
    stage: Stage, data: EvaluationData | None, make_evaluators: MakeEvaluators = _none
) -> Stage:
    """Adds a report on the objective and by other evaluators to a stage."""
    if data is None:
        return stage
    return dataclasses.replace(stage, report=Reporter(data, stage, make_evaluators))
