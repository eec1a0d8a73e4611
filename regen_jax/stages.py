"""From a task and its pipeline to the stages of a run, in the order they train."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from regen_jax.data.host_features import as_batch, open_examples
from regen_jax.data.pipeline import evaluation_batches, first_batch
from regen_jax.errors import UserError
from regen_jax.evaluation.evaluators import (
    EvaluateOptions,
    attempt,
    encode,
    finite,
    likelihood,
    reconstruct,
    sample,
)
from regen_jax.evaluation.held_out_loss import held_out
from regen_jax.interfaces import Abstraction, Example, Judge, Task
from regen_jax.media.heatmaps import render_alignment
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import lengths, to_dtype
from regen_jax.training.stage import Report, Stage

Reporter = Callable[[dict, Report], None]
"""Adds to a report what it finds of the variables of all stages so far."""


@dataclasses.dataclass(frozen=True)
class Reporting:
    """What a stage is reported on, and how.

    Attributes:
      task: gives the examples, and judges samples.
      parts: the pipeline.
      batch_size: of examples and samples.
      split: the held-out split.
      num_samples: how many are drawn for a report on the prior; 0 is one for each
        example of the core list.
      whole: whether samples are also drawn for the rest of a split of which no example
        is left out.
    """

    task: Task
    parts: Regeneration
    batch_size: int
    split: str
    num_samples: int
    whole: bool


def make_stages(
    task: Task,
    regeneration: Regeneration,
    options: EvaluateOptions,
    split: str,
    num_samples: int,
    whole: bool = False,
) -> list[Stage]:
    """The task's judges, then the learned parts: source, abstraction, decoder, prior.

    The decoder needs nothing of the prior, and comes before it so that the prior can
    be judged by whole samples while it trains. Reports are on `split`.
    """
    parts = regeneration
    of = Reporting(task, parts, options.batch_size, split, num_samples, whole)
    stages = [
        _reporting(_judge_stage(name, judge), of) for name, judge in task.judges.items()
    ]
    if parts.source.learned:
        stages.append(_reporting(_abstraction_stage("source", parts.source, "x"), of))
    if parts.abstraction.learned:
        stage = _abstraction_stage("abstraction", parts.abstraction, "y")
        reporters = []
        if parts.decoder is None:
            reporters = [_reconstructions(of, "abstraction")]
        stages.append(_reporting(stage, of, *reporters))
    if parts.decoder is not None:
        stage = _decoder_stage(parts)
        stages.append(_reporting(stage, of, _reconstructions(of, "decoder")))
    reporters = [_likelihood(of), _alignment(of), _samples(of)]
    stages.append(_reporting(_prior_stage(parts), of, *reporters))
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

    return Stage(name, init, loss, abstraction.update, abstraction.summarize)


def _decoder_stage(parts: Regeneration) -> Stage:
    decoder = parts.decoder

    def loss(variables, frozen, keys, batch, train):
        y_prime = parts.encode(frozen, batch)
        y = to_dtype(decoder.target_space, batch["y"])
        return decoder.loss(variables, keys, y_prime, y, train)

    init = lambda rng, batch: decoder.init(rng)
    return Stage("decoder", init, loss, decoder.update)


def _prior_stage(parts: Regeneration) -> Stage:
    prior = parts.prior

    def loss(variables, frozen, keys, batch, train):
        x_prime = parts.represent(frozen, batch)
        y_prime = parts.encode(frozen, batch)
        return prior.loss(variables, keys, x_prime, y_prime, train)

    return Stage("prior", lambda rng, batch: prior.init(rng), loss, prior.update)


def _reporting(stage: Stage, of: Reporting, *reporters: tuple[str, Reporter]) -> Stage:
    """Adds a report of the objective on held-out data, and of the reporters, to a stage.

    If one of them raises, the report names it and the others still run.
    """
    means = held_out(
        stage,
        lambda: evaluation_batches(
            open_examples(of.task, of.parts, of.split), of.batch_size
        ),
        jax.random.key(0),
    )

    def objective(variables, report):
        metrics = means(variables[stage.name], variables)
        report.scalars |= {f"{stage.name}/{k}": v for k, v in metrics.items()}

    def report(variables, frozen):
        report = Report()
        for name, reporter in (("objective", objective), *reporters):
            with attempt(f"{stage.name}/{name}", report.failed):
                reporter({**frozen, stage.name: variables}, report)
        return dataclasses.replace(report, scalars=finite(report.scalars))

    return dataclasses.replace(stage, report=report)


def _reconstructions(of: Reporting, stage: str) -> tuple[str, Reporter]:
    def reporter(variables, report):
        y, other = reconstruct(of.task, of.parts, variables, of.batch_size, of.split)
        for name, value in of.task.reconstruction_metrics(y, other).items():
            report.scalars[f"{stage}/{name}"] = value
        report.media.update(
            of.task.render_reconstructions(*_shown(of.task, (y, other)))
        )

    return "reconstructions", reporter


def _likelihood(of: Reporting) -> tuple[str, Reporter]:
    def reporter(variables, report):
        report.scalars |= likelihood(
            of.task, of.parts, variables, of.batch_size, of.split
        )

    return "likelihood", reporter


def _alignment(of: Reporting) -> tuple[str, Reporter]:
    """Reports a picture of the prior's attention for the first held-out example."""
    parts = of.parts

    @jax.jit
    def look(variables, batch):
        x_prime = parts.represent(variables, batch)
        y_prime = parts.encode(variables, batch)
        weights = parts.prior.alignment(variables["prior"], x_prime, y_prime)
        if weights is None:
            return None
        return weights, lengths(parts.abstraction.output_space, y_prime)

    def reporter(variables, report):
        batch = first_batch(open_examples(of.task, parts, of.split), 1)
        found = jax.device_get(look(variables, batch))
        if found is not None:
            weights, length = found
            # The token that ends a sequence is shown, and nothing of what is behind.
            rows = weights[0, : length[0] + 1]
            last = np.max(np.flatnonzero(rows.max(axis=0)), initial=0)
            picture = render_alignment(rows[:, : last + 1])
            report.media.images["alignment"] = picture

    return "alignment", reporter


def _samples(of: Reporting) -> tuple[str, Reporter]:
    task, parts = of.task, of.parts
    sample_metrics = None

    def judged(variables, prompts, y_prime, y, too_long):
        more = {"too_long": too_long} if too_long else {}
        metrics = sample_metrics(prompts, y, **more)
        if "y" in prompts:
            true = encode(parts, variables, prompts, of.batch_size)
            metrics |= parts.abstraction.code_metrics(y_prime, true)
        kept = parts.abstraction.consistency_metrics(y, y_prime)
        metrics |= {f"adherence_{name}": value for name, value in kept.items()}
        return metrics | {"number": _number(y)}

    def reporter(variables, report):
        nonlocal sample_metrics
        if sample_metrics is None:
            sample_metrics = task.sample_metrics(variables)
        core = task.core_list(of.split)
        prompts = _prompts(of)
        y_prime, y = sample(task, parts, variables, prompts, 0, of.batch_size)
        # For a part of the list, the same fraction of the examples that are too long.
        part = min(1.0, _number(y) / len(core.rows))
        too_long = core.too_long[: round(part * len(core.too_long))]
        metrics = judged(variables, prompts, y_prime, y, too_long)
        report.scalars |= {f"samples/{name}": value for name, value in metrics.items()}
        report.media.update(task.render_samples(*_shown(task, (prompts, y))))
        report.per_example = functools.partial(
            task.per_example, variables, prompts, y, too_long
        )

        examples = task.examples(of.split)
        if not (of.whole and core.whole and part == 1 < len(examples) / len(core.rows)):
            return
        others = np.setdiff1d(np.arange(len(examples)), core.rows)
        rest = as_batch([examples[int(row)] for row in others], parts)
        drawn = sample(task, parts, variables, rest, 0, of.batch_size, _number(y))
        whole = jax.tree.map(
            lambda *both: np.concatenate(both), (prompts, y_prime, y), (rest, *drawn)
        )
        metrics = judged(variables, *whole, ())
        report.scalars |= {f"whole/{name}": value for name, value in metrics.items()}

    return "samples", reporter


def _prompts(of: Reporting) -> Example:
    prompts = of.task.prompts(of.num_samples, of.split)
    if not prompts:
        raise UserError(
            f"no example of the core list of the split {of.split!r} fits config.data: "
            "raise its limits"
        )
    return as_batch(prompts, of.parts)


def _number(y: Any) -> int:
    return len(jax.tree.leaves(y)[0])


def _shown(task: Task, values: Any) -> Any:
    """Of arrays [N, …], what a report shows."""
    return jax.tree.map(lambda array: array[: task.num_rendered], values)
