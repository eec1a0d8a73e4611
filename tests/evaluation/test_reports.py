"""Reports on toy tasks: which examples they read, their keys, and failures."""

import dataclasses
import itertools
import json
import math
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax import evaluate
from regen_jax.abstractions.identity import Identity
from regen_jax.cli import training_costs
from regen_jax.cli.workdir import FORMAT
from regen_jax.data.host_features import open_examples
from regen_jax.errors import UserError
from regen_jax.evaluation import speed
from regen_jax.evaluation.evaluator import EvaluationData
from regen_jax.evaluation.inference import TrainedPipeline
from regen_jax.evaluation.likelihood import num_predictions
from regen_jax.evaluation.reporter import attempt, finite
from regen_jax.interfaces import CoreList, Generator, LossOutput, Task
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import Array, Category, Tokens, lengths
from regen_jax.stages import make_stages
from regen_jax.training.preemption import Preempted
from regen_jax.training.stage import StageOptions

SPACE = Array((1,), 0.0, 100.0)


@dataclasses.dataclass(frozen=True)
class Numbers(Task):
    """Y is a number; a held-out split has 12, of which a core list has 4 and 2 more."""

    core: tuple[int, ...] = (5, 1, 7, 2)
    too_long: int = 2
    whole: bool = False
    asked: list = dataclasses.field(default_factory=list, compare=False)
    calls: list = dataclasses.field(default_factory=list, compare=False)

    x = Category(2)
    y = SPACE

    def examples(self, split):
        self.asked.append(split)
        first = {"train": 0, "validation": 20, "test": 40}[split]
        return [{"x": np.int32(i % 2), "y": np.float32([first + i])} for i in range(12)]

    def core_list(self, split):
        too_long = tuple({"y": f"{split} {i}"} for i in range(self.too_long))
        return CoreList(np.array(self.core, int), too_long, self.whole)

    def sample_metrics(self, variables):
        def metrics(generated):
            prompts, y, too_long = generated
            self.calls.append((prompts["y"][:, 0].tolist(), y[:, 0], too_long))
            return {"mean": float(y.mean())}

        return metrics


@dataclasses.dataclass(frozen=True)
class Noise(Generator):
    """Draws normal noise, whatever the source; its loss is noise as well."""

    source_space: Category | Array
    target_space: Array

    targets = (Array,)

    def init(self, rng):
        return {"params": {"unused": jnp.zeros(1)}}

    def loss(self, variables, keys, a, b, train):
        noise = self.sample(variables, keys, a)[:, 0]
        return LossOutput(noise, {"squared": noise**2})

    def sample(self, variables, keys, a):
        draw = jax.vmap(lambda key: jax.random.normal(key, self.target_space.shape))
        return draw(keys)


VARIABLES = {name: {"params": {}} for name in ("prior", "decoder")}
PARTS = Regeneration(
    Identity(Numbers.x), Identity(SPACE), Noise(Numbers.x, SPACE), Noise(SPACE, SPACE)
)


def report(task, split="test", samples=0, batch_size=5, whole=True, parts=PARTS):
    """Makes the report of the prior of a task."""
    data = EvaluationData(task, parts, split, batch_size, samples, whole)
    *_, prior = make_stages(task, parts, data)
    frozen = {name: v for name, v in VARIABLES.items() if name != "prior"}
    return prior.report(VARIABLES["prior"], frozen)


@pytest.mark.parametrize("split, first", [("validation", 20), ("test", 40)])
def test_reports_read_their_split_alone(split, first):
    open_examples.cache_clear()
    task = Numbers()
    found = report(task, split)
    assert set(task.asked) == {split}
    (prompts, _, too_long), _ = task.calls
    assert prompts == [first + row for row in task.core]
    assert [example["y"] for example in too_long] == [f"{split} 0", f"{split} 1"]
    assert found.scalars["samples/number"] == 4 and found.failed == []


def test_part_of_the_core_list_has_its_part_of_what_is_too_long():
    task = Numbers()
    assert report(task, samples=2).scalars["samples/number"] == 2
    assert report(task, samples=100).scalars["samples/number"] == 4
    # Each report calls for its samples first, and then for their gap.
    assert [len(too_long) for *_, too_long in task.calls] == [1, 1, 2, 2]
    assert task.calls[0][1] == pytest.approx(task.calls[2][1][:2])


@dataclasses.dataclass(frozen=True)
class Measured(Noise):
    """Noise whose mean is a metric of its own."""

    def target_metrics(self, target):
        return {"level": float(np.mean(target))}


def test_metrics_of_the_prior_are_reported_beside_those_of_true_y_prime():
    prior = Measured(Numbers.x, SPACE)
    found = report(Numbers(), parts=dataclasses.replace(PARTS, prior=prior)).scalars
    assert abs(found["samples/level"]) < 5
    assert found["samples/true_level"] == np.mean([45, 41, 47, 42])


def test_whole_split_is_reported_where_nothing_is_left_out():
    task = Numbers(too_long=0, whole=True)
    found = report(task).scalars
    core, whole, _ = task.calls
    assert core[0] == [45, 41, 47, 42] == whole[0][:4]
    assert sorted(whole[0]) == list(range(40, 52))
    # The samples of the core list are among those of the whole, each with its own key.
    assert whole[1][:4] == pytest.approx(core[1]) and len(set(whole[1].tolist())) == 12
    assert found["whole/number"] == 12 and found["whole/mean"] != found["samples/mean"]
    for other in (Numbers(), dataclasses.replace(task, core=tuple(range(12)))):
        assert not any(name.startswith("whole/") for name in report(other).scalars)
    assert "whole/mean" not in report(task, samples=3).scalars
    assert "whole/mean" not in report(task, whole=False).scalars


def test_no_metric_depends_on_the_batch_size():
    found = [report(Numbers(), batch_size=size).scalars for size in (1, 5, 12, 50)]
    assert {"prior/loss", "prior/squared", "samples/mean"} <= set(found[0])
    for other in found[1:]:
        assert other == pytest.approx(found[0], rel=1e-5)
    trained = TrainedPipeline(Numbers(), PARTS, VARIABLES)
    drawn = [trained.reconstruct(size, "test")[1] for size in (5, 12)]
    np.testing.assert_allclose(*drawn, rtol=1e-6)
    assert len(np.unique(drawn[0])) == 12


def test_evaluator_that_raises_is_logged_and_the_others_run(caplog):
    class Broken(Numbers):
        def sample_metrics(self, variables):
            raise ZeroDivisionError("of two\nlines")

    caplog.set_level("INFO")
    found = report(Broken())
    assert found.failed == ["prior/samples"]
    assert {"prior/loss", "prior/squared"} == set(found.scalars)
    [line] = caplog.messages
    assert line.startswith("evaluator prior/samples failed: ZeroDivisionError at test_")
    assert line.endswith("of two lines")


@pytest.mark.parametrize("stop", [Preempted, KeyboardInterrupt])
def test_stop_passes_through_an_evaluator(stop):
    class Stopping(Numbers):
        def sample_metrics(self, variables):
            raise stop

    with pytest.raises(stop):
        report(Stopping())


def test_metrics_without_a_value_are_left_out_by_name(caplog):
    class Empty(Numbers):
        def sample_metrics(self, variables):
            nothing = np.zeros(())
            return lambda generated: {
                "nan": nothing / nothing,
                "inf": np.exp(np.float32(1000)),
                "one": np.float32(1),
            }

    caplog.set_level("INFO")
    found = report(Empty())
    assert found.failed == [] and found.scalars["samples/one"] == 1
    assert all(type(v) is float and math.isfinite(v) for v in found.scalars.values())
    [line] = caplog.messages
    assert line.startswith("left out, as not finite: samples/nan, samples/inf, ")
    assert finite({"a": -math.inf}) == {}


def test_core_list_of_which_nothing_fits_is_logged(caplog):
    caplog.set_level("INFO")
    assert report(Numbers(core=())).failed == ["prior/samples"]
    assert "no example of the core list of the split 'test' fits" in caplog.text


def test_split_of_which_nothing_fits_raises_user_error():
    class Nothing(Numbers):
        def examples(self, split):
            return []

    with pytest.raises(UserError, match="no example of the split 'validation' fits"):
        open_examples(Nothing(), PARTS, "validation")


@pytest.mark.parametrize(
    "space", [Tokens(2, 2, 4, padded=True), Tokens(3, 3, padded=True), Tokens(2, 2, 4)]
)
def test_predictions_equal_those_of_the_model(space):
    def predicted(rows):
        """Walks through the steps and levels as a sampler does."""
        count = 0
        for row in rows:
            for level, token in enumerate(row):
                count += 1
                if space.padded and level == 0 and token == 0:
                    return count
        return count

    every = itertools.product(range(space.vocab), repeat=math.prod(space.shape))
    ids = np.array(list(every)).reshape(-1, *space.shape)
    counts = [
        predicted(rows) for rows in ids.reshape(len(ids), space.length, space.depth)
    ]
    assert [num_predictions(space, one[None]) for one in ids] == counts
    assert num_predictions(space, ids) == sum(counts)
    assert not space.padded or min(lengths(space, ids)) == 0


def test_latency_is_of_one_example_and_throughput_of_a_batch(monkeypatch):
    class Spoken(Numbers):
        def speed_metrics(self, y, seconds):
            return {"factor": seconds / len(y)}

    clock, compiled = [0.0], set()

    def sample(self, prompts, batch_size):
        number = len(prompts["x"])
        # Of a shape that is new, a minute to compile.
        clock[0] += 60.0 if number not in compiled else 1 + 0.5 * number
        compiled.add(number)
        return None, prompts["y"]

    monkeypatch.setattr(TrainedPipeline, "sample", sample)
    timer = types.SimpleNamespace(perf_counter=lambda: clock[0])
    monkeypatch.setattr(speed, "time", timer)
    data = EvaluationData(Spoken(), PARTS, "test", batch_size=10, num_samples=0)
    assert speed.sampling_speed(data, VARIABLES) == {
        "latency_seconds": 1.5,
        "latency_factor": 1.5,
        "throughput_per_second": pytest.approx(4 / 3),
        "throughput_factor": 0.75,
    }


def test_command_exits_with_1_where_an_evaluator_raised(monkeypatch, capsys):
    flag = types.SimpleNamespace(value="validation")
    monkeypatch.setattr(evaluate, "SPLIT", flag)
    monkeypatch.setattr(evaluate.commands, "workdir", lambda: "there")
    monkeypatch.setattr(evaluate, "evaluate_run", lambda *_: ({"a": 1.0}, []))
    evaluate.main()
    monkeypatch.setattr(evaluate, "evaluate_run", lambda *given: ({"a": 1.0}, [given]))
    with pytest.raises(SystemExit) as stopped:
        evaluate.main()
    assert stopped.value.code == 1
    assert capsys.readouterr().out == "a  1\na  1\n"


def test_attempt_names_what_failed_and_says_what_users_can_mend(caplog):
    caplog.set_level("INFO")
    failed = []
    with attempt("real", failed):
        raise UserError("install this")
    assert failed == ["real"]
    assert caplog.messages == ["evaluator real failed: install this"]


@pytest.mark.parametrize("source", ["a", "b", "~nobody_has_it/a", "gs://b/a"])
def test_stage_whose_source_is_gone_has_the_known_part_of_its_costs(tmp_path, source):
    source = source if len(source) > 1 else str(tmp_path / source)
    for name, other in (("a", source), ("b", str(tmp_path / "a"))):
        (tmp_path / name).mkdir()
        config = {
            "format": FORMAT,
            "train": {"prior": {"steps": 3, "init_from": other}},
        }
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    options = StageOptions(steps=5, init_from=str(tmp_path / "a"))
    assert training_costs._trained_with("prior", options).steps == 3
