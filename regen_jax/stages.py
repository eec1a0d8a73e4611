"""From a task and its pipeline to the stages of a run, in the order they train."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from regen_jax.data.annotated import as_batch, open_examples
from regen_jax.data.pipeline import evaluation_batches, first_batch
from regen_jax.evaluation import (
    EvaluateOptions,
    encode,
    likelihood,
    reconstruct,
    sample,
)
from regen_jax.interfaces import Abstraction, Judge, Task
from regen_jax.regeneration import Regeneration
from regen_jax.rendering import alignment_picture
from regen_jax.spaces import cast, lengths
from regen_jax.training.held_out import held_out
from regen_jax.training.stage import Report, Stage

Reporter = Callable[[dict, Report], None]
"""Adds to a report what it finds of the variables of all stages so far."""


def make_stages(
    task: Task, regeneration: Regeneration, options: EvaluateOptions, num_samples: int
) -> list[Stage]:
    """The task's judges, then the learned parts: source, abstraction, decoder, prior.

    The decoder needs nothing of the prior, and comes before it so that the prior can
    be judged by whole samples while it trains.
    """
    parts = regeneration
    stages = [
        _reporting(_judge_stage(name, judge), task, parts, options)
        for name, judge in task.judges.items()
    ]
    reconstructions = _reconstructions(task, parts, options)
    if parts.source.learned:
        stage = _abstraction_stage("source", parts.source, "x")
        stages.append(_reporting(stage, task, parts, options))
    if parts.abstraction.learned:
        stage = _abstraction_stage("abstraction", parts.abstraction, "y")
        reporters = [reconstructions("abstraction")] if parts.decoder is None else []
        stages.append(_reporting(stage, task, parts, options, *reporters))
    if parts.decoder is not None:
        stage = _decoder_stage(parts)
        stages.append(
            _reporting(stage, task, parts, options, reconstructions("decoder"))
        )
    reporters = [
        _likelihood(task, parts, options),
        _alignment(task, parts),
        _samples(task, parts, options, num_samples),
    ]
    stages.append(_reporting(_prior_stage(parts), task, parts, options, *reporters))
    return stages


def _judge_stage(name: str, judge: Judge) -> Stage:
    def loss(variables, frozen, keys, batch, train):
        return judge.loss(variables, keys, batch["x"], batch["y"], train)

    return Stage(name, lambda rng, batch: judge.init(rng, batch["x"], batch["y"]), loss)


def _abstraction_stage(name: str, abstraction: Abstraction, what: str) -> Stage:
    def init(rng, batch):
        return abstraction.init(rng, cast(abstraction.y, batch[what]))

    def loss(variables, frozen, keys, batch, train):
        y = cast(abstraction.y, batch[what])
        return abstraction.loss(variables, keys, y, train)

    return Stage(name, init, loss, abstraction.update, abstraction.summarize)


def _decoder_stage(parts: Regeneration) -> Stage:
    decoder = parts.decoder

    def loss(variables, frozen, keys, batch, train):
        y_prime = parts.encode(frozen, batch)
        y = cast(decoder.target, batch["y"])
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


def _reporting(
    stage: Stage,
    task: Task,
    parts: Regeneration,
    options: EvaluateOptions,
    *reporters: Reporter,
) -> Stage:
    """The stage with a report of its objective on the test split, and the reporters'."""
    means = held_out(
        stage,
        lambda: evaluation_batches(
            open_examples(task, parts, "test"), options.batch_size
        ),
        jax.random.key(0),
    )

    def report(variables, frozen):
        found = means(variables, frozen)
        report = Report({f"{stage.name}/{k}": v for k, v in found.items()})
        for reporter in reporters:
            reporter({**frozen, stage.name: variables}, report)
        return report

    return dataclasses.replace(stage, report=report)


def _reconstructions(
    task: Task, parts: Regeneration, options: EvaluateOptions
) -> Callable[[str], Reporter]:
    def of(stage: str) -> Reporter:
        def reporter(variables, report):
            y, other = reconstruct(task, parts, variables, options.batch_size)
            for name, value in task.fidelity(y, other).items():
                report.scalars[f"{stage}/{name}"] = value
            report.exhibit.add(task.compare(*_shown(task, (y, other))))

        return reporter

    return of


def _likelihood(task: Task, parts: Regeneration, options: EvaluateOptions) -> Reporter:
    def reporter(variables, report):
        report.scalars |= likelihood(task, parts, variables, options.batch_size)

    return reporter


def _alignment(task: Task, parts: Regeneration) -> Reporter:
    """A picture of where the prior looks, of the first test example."""

    @jax.jit
    def look(variables, batch):
        x_prime = parts.represent(variables, batch)
        y_prime = parts.encode(variables, batch)
        weights = parts.prior.alignment(variables["prior"], x_prime, y_prime)
        if weights is None:
            return None
        return weights, lengths(parts.abstraction.y_prime, y_prime)

    def reporter(variables, report):
        batch = first_batch(open_examples(task, parts, "test"), 1)
        found = jax.device_get(look(variables, batch))
        if found is not None:
            weights, length = found
            # The token that ends a sequence is shown, and nothing of what is behind.
            rows = weights[0, : length[0] + 1]
            last = np.max(np.flatnonzero(rows.max(axis=0)), initial=0)
            picture = alignment_picture(rows[:, : last + 1])
            report.exhibit.images["alignment"] = picture

    return reporter


def _samples(
    task: Task, parts: Regeneration, options: EvaluateOptions, number: int
) -> Reporter:
    judging = None

    def reporter(variables, report):
        nonlocal judging
        if judging is None:
            judging = task.judging(variables)
        prompts = as_batch(task.prompts(number), parts)
        y_prime, y = sample(task, parts, variables, prompts, 0, options.batch_size)
        too_long = task.core_list("test").too_long
        more = {"too_long": too_long} if too_long else {}
        figures = judging(prompts, y, **more)
        if "y" in prompts:
            true = encode(parts, variables, prompts, options.batch_size)
            figures |= parts.abstraction.distance(y_prime, true)
        kept = parts.abstraction.adherence(y, y_prime)
        figures |= {f"adherence_{name}": value for name, value in kept.items()}
        report.scalars |= {f"samples/{name}": value for name, value in figures.items()}
        report.exhibit.add(task.show(*_shown(task, (prompts, y))))
        report.per_example = functools.partial(
            task.per_example, variables, prompts, y, too_long
        )

    return reporter


def _shown(task: Task, values: Any) -> Any:
    """Of arrays [N, …], what a report shows."""
    return jax.tree.map(lambda array: array[: task.shown], values)
