"""From a task and its pipeline to the stages of a run, in the order they train."""

import dataclasses
from collections.abc import Callable, Sequence

import jax

from regen_jax.errors import UserError
from regen_jax.evaluation.alignment import Alignment
from regen_jax.evaluation.evaluator import EvaluationData, Evaluator
from regen_jax.evaluation.gap import Gap
from regen_jax.evaluation.likelihood import Likelihood
from regen_jax.evaluation.reconstructions import Reconstructions
from regen_jax.evaluation.reporter import Reporter
from regen_jax.evaluation.samples import Samples
from regen_jax.interfaces import Abstraction, Generator, Judge, Task
from regen_jax.networks.perturbation import add_noise
from regen_jax.random import split_keys
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import to_dtype
from regen_jax.training.stage import FinetuneOptions, Stage

MakeEvaluators = Callable[[EvaluationData, Stage], Sequence[Evaluator]]


@dataclasses.dataclass(frozen=True)
class DecoderTraining:
    """How the decoder gets used to Y′ that is generated.

    Attributes:
      noise: `source_noise` of its own stage.
      finetune: options of the stage that trains it further; None for no such stage.
    """

    noise: float = 0.0
    finetune: FinetuneOptions | None = None


def make_stages(
    task: Task,
    parts: Regeneration,
    data: EvaluationData | None = None,
    decoder_training: DecoderTraining = DecoderTraining(),
) -> list[Stage]:
    """Returns the task's judges, then the learned parts: source to prior, and `finetune`.

    The decoder needs nothing of the prior, and comes before it so that the prior can
    be evaluated by whole samples while it trains.

    Args:
      task: trains its judges as stages.
      parts: the pipeline: source, abstraction, decoder and prior are stages if learned.
      data: what reports are on; None for stages that report nothing.
      decoder_training: how the decoder gets used to Y′ that is generated.
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
        stage = _decoder_stage(parts, parts.decoder, decoder_training.noise)
        stages.append(_with_report(stage, data, _reconstructing))
    finetune = decoder_training.finetune
    # The samples of a finished run are those of its last stage alone.
    finished = data is not None and data.whole
    samples = _none if finetune and finished else _sampling
    stages.append(_with_report(_prior_stage(parts), data, samples))
    if finetune is not None:
        stage = _finetune_stage(parts, finetune)
        stages.append(_with_report(stage, data, _finetuned))
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


def _decoder_stage(parts: Regeneration, decoder: Generator, noise: float) -> Stage:
    def loss(variables, frozen, keys, batch, train):
        y_prime = parts.encode(frozen, batch)
        if train and noise:
            y_prime = add_noise(decoder.source_space, keys, y_prime, noise)
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


def _finetune_stage(parts: Regeneration, options: FinetuneOptions) -> Stage:
    """Returns the stage of a decoder that trains on, on Y′ of the prior.

    Raises:
      UserError: the decoder is a rule.
    """
    decoder = parts.trainable_decoder
    if decoder is None:
        rule = type(parts.abstraction).__name__
        raise UserError(
            "config.train.finetune trains a decoder further, but the decoder is the "
            f"inverse of {rule}, which has no parameters: choose another decoder, "
            "or leave out config.train.finetune"
        )

    def loss(variables, frozen, keys, batch, train):
        prior_keys, decoder_keys = split_keys(keys)
        y_prime = parts.regenerate(frozen, prior_keys, batch, options.generated)
        y_prime = jax.lax.stop_gradient(y_prime)
        if train and options.source_noise:
            level = options.source_noise
            y_prime = add_noise(decoder.source_space, decoder_keys, y_prime, level)
        y = to_dtype(decoder.target_space, batch["y"])
        return decoder.loss(variables, decoder_keys, y_prime, y, train)

    def trained(frozen):
        if parts.decoder is not None:
            return frozen["decoder"]
        return parts.abstraction.decoder_variables(frozen["abstraction"])

    return Stage(
        "finetune",
        lambda rng, batch: decoder.init(rng),
        loss,
        decoder.update,
        pretrained=trained,
        continues=True,
    )


def _none(data: EvaluationData, stage: Stage) -> Sequence[Evaluator]:
    return ()


def _reconstructing(data: EvaluationData, stage: Stage) -> Sequence[Evaluator]:
    return (Reconstructions(data, stage.name),)


def _sampling(data: EvaluationData, stage: Stage) -> Sequence[Evaluator]:
    samples = Samples(data)
    return Likelihood(data), Alignment(data), samples, Gap(data, samples)


def _finetuned(data: EvaluationData, stage: Stage) -> Sequence[Evaluator]:
    return Reconstructions(data, stage.name), *_sampling(data, stage)


def _with_report(
    stage: Stage, data: EvaluationData | None, make_evaluators: MakeEvaluators = _none
) -> Stage:
    """Adds a report on the objective and by other evaluators to a stage."""
    if data is None:
        return stage
    return dataclasses.replace(stage, report=Reporter(data, stage, make_evaluators))
