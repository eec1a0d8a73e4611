"""From a task and its pipeline to the stages of a run, in the order they train."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax

from regen_jax.errors import UserError
from regen_jax.evaluation.alignment import Alignment
from regen_jax.evaluation.evaluator import EvaluationData, Evaluator
from regen_jax.evaluation.gap import Gap
from regen_jax.evaluation.likelihood import Likelihood
from regen_jax.evaluation.reconstructions import Reconstructions
from regen_jax.evaluation.reporter import Reporter
from regen_jax.evaluation.samples import Samples
from regen_jax.interfaces import Abstraction, Generator, Judge, Passes, Task, Variables
from regen_jax.networks.perturbation import add_noise
from regen_jax.random import split_keys
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import Value, to_dtype
from regen_jax.training.stage import Batch, FinetuneOptions, Frozen, Stage

Pair = Callable[[Frozen, Batch], tuple[Value, Value]]
"""Source and target of a generator, from the variables of finished stages and a batch."""
MakeEvaluators = Callable[[EvaluationData, Stage], Sequence[Evaluator]]


@functools.partial(jax.jit, static_argnums=0)
def _init(
    part: Judge | Abstraction | Generator, rng: jax.Array, *examples: Any
) -> Variables:
    """Returns variables; traced once however often shapes are asked for."""
    return part.init(rng, *examples)


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
    regeneration: Regeneration,
    data: EvaluationData | None = None,
    decoder_training: DecoderTraining = DecoderTraining(),
) -> list[Stage]:
    """Returns the task's judges, then the learned parts: source to prior, and `finetune`.

    The decoder needs nothing of the prior, and comes before it so that the prior can
    be evaluated by whole samples while it trains.

    Args:
      task: trains its judges as stages.
      regeneration: whose source, abstraction, decoder and prior are stages if learned.
      data: what reports are on; None for stages that report nothing.
      decoder_training: how the decoder gets used to Y′ that is generated.
    """
    stages = [_with_report(_judge_stage(*judge), data) for judge in task.judges.items()]
    if regeneration.source.learned:
        stage = abstraction_stage("source", regeneration.source, "x")
        stages.append(_with_report(stage, data))
    if regeneration.abstraction.learned:
        stage = abstraction_stage("abstraction", regeneration.abstraction, "y")
        # Where there is a decoder, it is what reconstructs.
        inverse = regeneration.decoder is None
        stages.append(_with_report(stage, data, _reconstructing if inverse else _none))
    if regeneration.decoder is not None:
        stage = _decoder_stage(
            regeneration, regeneration.decoder, decoder_training.noise
        )
        stages.append(_with_report(stage, data, _reconstructing))
    finetune = decoder_training.finetune
    # The samples of a finished run are those of its last stage alone.
    finished = data is not None and data.whole
    samples = _none if finetune and finished else _sampling
    stages.append(_with_report(_prior_stage(regeneration), data, samples))
    if finetune is not None:
        stage = _finetune_stage(regeneration, finetune)
        stages.append(_with_report(stage, data, _finetuned))
    return stages


def _judge_stage(name: str, judge: Judge) -> Stage:
    def loss(variables, frozen, keys, batch, train):
        return judge.loss(variables, keys, batch["x"], batch["y"], train)

    def init(rng, batch):
        return _init(judge, rng, batch["x"], batch["y"])

    return Stage(name, init, loss)


def abstraction_stage(name: str, abstraction: Abstraction, field: str) -> Stage:
    """Returns the stage of that name, which trains on `field` of a batch, `x` or `y`."""

    def init(rng, batch):
        y = to_dtype(abstraction.input_space, batch[field])
        return _init(abstraction, rng, y)

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
        start_from=abstraction.start_from,
        check_data=check_data,
        parametric=abstraction.parametric,
    )


def _decoder_stage(
    regeneration: Regeneration, decoder: Generator, noise: float
) -> Stage:
    def pair(frozen: Frozen, batch: Batch) -> tuple[Value, Value]:
        y_prime = regeneration.encode(frozen, batch)
        return y_prime, to_dtype(decoder.target_space, batch["y"])

    return _generator_stage("decoder", decoder, pair, noise)


def _prior_stage(regeneration: Regeneration) -> Stage:
    def pair(frozen: Frozen, batch: Batch) -> tuple[Value, Value]:
        return regeneration.represent(frozen, batch), regeneration.encode(frozen, batch)

    return _generator_stage("prior", regeneration.prior, pair)


def _generator_stage(
    name: str, generator: Generator, pair: Pair, noise: float = 0.0
) -> Stage:
    def loss(variables, frozen, keys, batch, train):
        source, target = pair(frozen, batch)
        if train and noise:
            source = add_noise(generator.source_space, keys, source, noise)
        return generator.loss(variables, keys, source, target, train)

    def finalize(variables, frozen, batches):
        jitted = jax.jit(pair)
        pairs = Passes(lambda: (jitted(frozen, batch) for batch in batches))
        return generator.finalize(variables, pairs)

    return Stage(
        name,
        lambda rng, batch: _init(generator, rng),
        loss,
        generator.update,
        finalize=finalize,
        parametric=generator.parametric,
    )


def _finetune_stage(regeneration: Regeneration, options: FinetuneOptions) -> Stage:
    """Returns the stage of a decoder that trains on, on Y′ of the prior.

    Raises:
      UserError: the decoder is a rule.
    """
    decoder = regeneration.trainable_decoder
    if decoder is None or not decoder.parametric:
        kind = type(decoder or regeneration.abstraction).__name__
        rule = kind if decoder else f"the inverse of {kind}"
        raise UserError(
            f"config.train.finetune trains a decoder further, but the decoder is {rule}, "
            "which has no parameters: choose another decoder, or leave out "
            "config.train.finetune"
        )

    def loss(variables, frozen, keys, batch, train):
        prior_keys, decoder_keys = split_keys(keys)
        y_prime = regeneration.regenerate(frozen, prior_keys, batch, options.generated)
        y_prime = jax.lax.stop_gradient(y_prime)
        if train and options.source_noise:
            level = options.source_noise
            y_prime = add_noise(decoder.source_space, decoder_keys, y_prime, level)
        y = to_dtype(decoder.target_space, batch["y"])
        return decoder.loss(variables, decoder_keys, y_prime, y, train)

    def trained(frozen):
        if regeneration.decoder is not None:
            return frozen["decoder"]
        return regeneration.abstraction.decoder_variables(frozen["abstraction"])

    return Stage(
        "finetune",
        lambda rng, batch: _init(decoder, rng),
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
    # While a prior trains, Y from true Y′ is the same in every report.
    gap = (Gap(data, samples),) if data.whole else ()
    return Likelihood(data), Alignment(data), samples, *gap


def _finetuned(data: EvaluationData, stage: Stage) -> Sequence[Evaluator]:
    return Reconstructions(data, stage.name), *_sampling(data, stage)


def _with_report(
    stage: Stage, data: EvaluationData | None, make_evaluators: MakeEvaluators = _none
) -> Stage:
    """Adds a report on the objective and by other evaluators to a stage."""
    if data is None:
        return stage
    return dataclasses.replace(stage, report=Reporter(data, stage, make_evaluators))
