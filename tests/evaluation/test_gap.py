"""Metrics of Y from true Y′ beside those of samples."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.identity import Identity
from regen_jax.evaluation.evaluator import EvaluationData
from regen_jax.evaluation.gap import Gap
from regen_jax.evaluation.samples import Samples
from regen_jax.interfaces import Generator
from regen_jax.regeneration import Regeneration
from regen_jax.training.stage import Report
from tests.evaluation.test_reports import SPACE, VARIABLES, Noise, Numbers
from tests.generators.test_pipeline import Halved


@dataclasses.dataclass(frozen=True)
class Constant(Noise):
    """Draws the same number for every source."""

    def sample(self, variables, keys, source):
        return jnp.full((len(keys), *self.target_space.shape), 10.0)


@dataclasses.dataclass(frozen=True)
class Tripled(Noise):
    """Three times the source."""

    def sample(self, variables, keys, source):
        return 3 * source


def reported(abstraction, prior, decoder=None, batch_size=3, **task) -> dict:
    x, y_prime = Numbers.x, abstraction.output_space
    made: Generator | None = decoder and decoder(y_prime, SPACE)
    parts = Regeneration(Identity(x), abstraction, prior(x, y_prime), made)
    data = EvaluationData(Numbers(**task), parts, "test", batch_size, 0)
    report = Report()
    samples = Samples(data)
    for evaluator in (samples, Gap(data, samples)):
        evaluator(VARIABLES, report)
    return report.scalars


MEAN = np.mean([45, 41, 47, 42])
"""Of the true Y of the core list."""


@pytest.mark.parametrize("batch_size", [3, 50])
def test_gap_is_the_metric_of_samples_minus_that_from_true_y_prime(batch_size):
    metrics = reported(Halved(SPACE), Constant, batch_size=batch_size)
    assert metrics["samples/mean"] == pytest.approx(20)
    assert metrics["true_y_prime/mean"] == pytest.approx(MEAN)
    assert metrics["gap/mean"] == pytest.approx(20 - MEAN)


def test_true_y_prime_is_decoded_by_the_decoder():
    metrics = reported(Halved(SPACE), Constant, Tripled)
    assert metrics["true_y_prime/mean"] == pytest.approx(1.5 * MEAN)
    assert metrics["gap/mean"] == pytest.approx(30 - 1.5 * MEAN)


def test_decoder_draws_from_the_keys_of_samples():
    # Its outputs depend on the keys alone, not on the source.
    metrics = reported(Identity(SPACE), Constant, Noise)
    assert metrics["gap/mean"] == 0 and metrics["samples/mean"] != 0


@dataclasses.dataclass(frozen=True)
class Counted(Numbers):
    """Metrics with their deviation and a count."""

    def sample_metrics(self, variables):
        def metrics(generated):
            mean = float(np.mean(generated.y))
            return {"mean": mean, "mean_std": mean / 10, "mean_samples": 3}

        return metrics


def test_gap_has_the_deviation_of_both_and_no_counts():
    x = Numbers.x
    parts = Regeneration(Identity(x), Halved(SPACE), Constant(x, SPACE), None)
    data = EvaluationData(Counted(too_long=0), parts, "test", 5, 0)
    report, samples = Report(), Samples(data)
    for evaluator in (samples, Gap(data, samples)):
        evaluator(VARIABLES, report)
    expected = np.hypot(2.0, MEAN / 10)
    assert report.scalars["gap/mean_std"] == pytest.approx(expected)
    assert report.scalars["true_y_prime/mean_samples"] == 3
    assert "gap/mean_samples" not in report.scalars


def test_direct_model_has_no_gap():
    metrics = reported(Identity(SPACE), Constant)
    assert set(metrics) == {"samples/mean", "samples/number"}


def test_gap_counts_the_examples_that_are_too_long():
    task = Numbers()
    parts = Regeneration(Identity(task.x), Halved(SPACE), Constant(task.x, SPACE), None)
    samples = Samples(EvaluationData(task, parts, "test", 5, 2))
    Gap(samples.data, samples)(VARIABLES, Report({"samples/number": 2}))
    [(prompts, _, too_long)] = task.calls
    assert len(prompts) == 2 and [e["y"] for e in too_long] == ["test 0"]


@dataclasses.dataclass(frozen=True)
class Prompted(Numbers):
    """Prompts are x alone."""

    def prompts(self, number, split="test"):
        return [{"x": np.int32(0)}] * number

    def sample_metrics(self, variables):
        def metrics(generated):
            assert set(generated.prompts) == {"x"}
            return {"mean": float(generated.y.mean())}

        return metrics


def test_examples_take_the_place_of_prompts_without_y():
    task = Prompted(too_long=0)
    parts = Regeneration(Identity(task.x), Halved(SPACE), Constant(task.x, SPACE), None)
    data = EvaluationData(task, parts, "test", 5, 3)
    report = Report()
    samples = Samples(data)
    for evaluator in (samples, Gap(data, samples)):
        evaluator(VARIABLES, report)
    assert report.scalars["true_y_prime/mean"] == pytest.approx(np.mean([45, 41, 47]))
