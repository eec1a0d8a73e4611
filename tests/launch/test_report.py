import csv
import functools
import json
import re
import statistics

import pandas as pd
import pytest
from PIL import Image

from launch.aggregate import aggregate, cells, differing, select_metrics
from launch.report import read_runs
from launch.tables import markdown
from regen_jax.cli.workdir import FORMAT
from regen_jax.errors import UserError

ACCURACY = {
    ("fsq", 0): 0.5,
    ("fsq", 1): 0.75,
    ("fsq", 2): 0.875,
    ("vq", 0): 0.25,
    ("vq", 1): 0.5,
}


@pytest.fixture
def workdir(tmp_path):
    """A sweep of two abstractions by three seeds, whose last run is not finished."""
    changes = {}
    for abstraction in ("fsq", "vq"):
        for seed in range(3):
            name = f"abstraction={abstraction},seed={seed}"
            changes[name] = {":abstraction": abstraction, "prior.w": [1], "seed": seed}
            if (abstraction, seed) in ACCURACY:
                accuracy = ACCURACY[abstraction, seed]
                metrics = {"samples/accuracy": accuracy, "train/seconds": 2.0}
                (tmp_path / name).mkdir()
                (tmp_path / name / "metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "shared" / "judge").mkdir(parents=True)
    (tmp_path / "sweep.json").write_text(
        json.dumps({"format": FORMAT, "runs": changes})
    )
    return tmp_path


@pytest.fixture
def report(command, workdir):
    """Runs `launch.report` on the sweep with some flags."""
    return functools.partial(command.run, "launch.report", f"--workdir={workdir}")


def read_table(text):
    """The cells of a Markdown table, without the line below its titles."""
    rows = [line.strip("|").split("|") for line in text.splitlines() if "|" in line]
    return [[cell.strip() for cell in row] for row in rows if "---" not in row[0]]


def test_report_contains_means_and_deviations_over_seeds(report, workdir):
    done = report()
    assert done.returncode == 0, done.stderr
    values = [ACCURACY["fsq", seed] for seed in range(3)]
    mean, std = statistics.mean(values), statistics.stdev(values)
    shown = f"{mean:.4g} ± {std:.2g}"
    assert shown == "0.7083 ± 0.19"
    assert re.search(rf"fsq\W+3\W+{shown}", done.stdout)
    table, note = (workdir / "report.md").read_text().split("\n\n")
    assert read_table(table) == [
        ["abstraction", "n", "samples/accuracy"],
        ["fsq", "3", shown],
        ["vq", "2 of 3", "0.375 ± 0.18"],
    ]
    assert note == "On the test split.\n"
    assert "test split: written to" in done.stderr
    with open(workdir / "report.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert float(first["samples/accuracy"]) == mean
    assert float(first["samples/accuracy std"]) == pytest.approx(std)
    assert (first[":abstraction"], first["n"], second["runs"]) == ("fsq", "3", "3")
    assert float(second["train/seconds"]) == 2
    with Image.open(workdir / "report.png") as picture:
        assert picture.format == "PNG" and picture.width > 300
    line = "not finished: abstraction=vq,seed=2: not started"
    assert line in done.stderr.splitlines()


def test_files_and_metrics_follow_flags(report, workdir, tmp_path):
    places = [f"--{kind}={tmp_path}/mine.{kind}" for kind in ("csv", "markdown")]
    figure = f"--figure={tmp_path}/mine.pdf"
    done = report("--metrics=train/*,samples/acc*", *places, figure)
    assert done.returncode == 0, done.stderr
    titles, *_ = read_table((tmp_path / "mine.markdown").read_text())
    assert titles == ["abstraction", "n", "train/seconds", "samples/accuracy"]
    assert (tmp_path / "mine.pdf").read_bytes().startswith(b"%PDF")
    assert not (workdir / "report.csv").exists()


@pytest.mark.parametrize(
    "flags, message",
    [
        (
            ["--metrics=nll"],
            "--metrics=nll matches no metric: known are samples/accuracy",
        ),
        (["--workdir=/nowhere"], "/nowhere holds no sweep, nor folders of runs"),
        (["stray"], "unknown argument 'stray'"),
        (["--csv=/nowhere/x.csv"], "/nowhere/x.csv"),
    ],
)
def test_invalid_flags_of_report_are_one_line(report, flags, message):
    done = report(*flags)
    assert done.returncode == 2 and message in done.stderr
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("error: ")


def test_report_prefers_validation_split(report, workdir):
    metrics = json.dumps({"samples/accuracy": 1.0})
    run = workdir / "abstraction=vq,seed=0"
    (run / "metrics_validation.json").write_text(metrics)
    assert "validation split: written to" in report().stderr
    _, validation = read_runs(workdir, "validation")
    assert validation.to_dict("index") == {run.name: {"samples/accuracy": 1.0}}
    _, test = read_runs(workdir, "test")
    assert test["samples/accuracy"][run.name] == ACCURACY["vq", 0]


def test_ordinary_runs_are_named_by_differing_config_fields(tmp_path):
    for name, width, seed in (("a", 1, 0), ("b", 1, 1), ("c", 2, 0)):
        train = {"prior": {"steps": 3, "init_from": name}}
        config = {"seed": seed, "prior": {"width": width, "depth": 1}, "train": train}
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(
            json.dumps({"format": FORMAT, **config})
        )
    overrides, metrics = read_runs(tmp_path, "test")
    assert overrides.to_dict("records") == [
        {"seed": 0, "prior.width": 1},
        {"seed": 1, "prior.width": 1},
        {"seed": 0, "prior.width": 2},
    ]
    texts = cells(aggregate(overrides, metrics), [])
    assert texts == [["width", "n"], ["1", "0 of 2"], ["2", "0 of 1"]]


def frames(*runs):
    """Frames of (overrides, metrics or None) of runs."""
    overrides = pd.DataFrame([fields for fields, _ in runs], dtype=object)
    metrics = {i: values for i, (_, values) in enumerate(runs) if values is not None}
    return overrides, pd.DataFrame(list(metrics.values()), list(metrics), dtype=float)


def test_single_seed_has_no_deviation_and_metrics_may_be_missing():
    table = aggregate(*frames(({"seed": 0}, {"x": 1.0})))
    assert cells(table, ["x"]) == [["n", "x"], ["1", "1"]]
    runs = ({"seed": 0, "w": 1}, {"x": 1.0}), ({"seed": 1, "w": 1}, {"y": 3.0})
    table = aggregate(
        *frames(*runs, ({"w": 1, "seed": 2}, None), ({"w": (8, 5)}, None))
    )
    assert cells(table, ["x", "y"]) == [
        ["w", "n", "x", "y"],
        ["1", "2 of 3", "1", "3"],
        ["(8, 5)", "0 of 1", "", ""],
    ]


def test_metrics_are_selected_by_patterns():
    names = ["train/s", "prior/nll", "samples/accuracy"]
    assert select_metrics(names, ["*/s", "*"]) == names
    with pytest.raises(UserError, match="known are train/s"):
        select_metrics(names, ["x"])
    assert select_metrics([], ["x"]) == []


def test_differing_fields_exclude_equal_ones():
    fields = differing([{"x": {"y": 1, "z": [1]}}, {"x": {"z": [1]}}])
    assert fields == [{"x.y": 1}, {}]


def test_markdown_escapes_bars():
    assert markdown([["a|b"], ["c"]]) == "| a\\|b   |\n|:-------|\n| c      |\n"


RUN = "abstraction=fsq,seed=0"


@pytest.mark.parametrize(
    "name, content, message",
    [
        (f"{RUN}/metrics.json", "{", "metrics.json cannot be read"),
        (
            f"{RUN}/metrics.json",
            "[1]",
            "metrics.json cannot be read: it is not a JSON object",
        ),
        (f"{RUN}/metrics.json", '{"a": "b"}', "a is b, not a finite number"),
        (f"{RUN}/metrics.json", '{"a": NaN}', "a is nan, not a finite number"),
        (f"{RUN}/metrics.json", '{"a": true}', "a is True, not a finite number"),
        (f"{RUN}/metrics.json", f'{{"a": {10**400}}}', "a is 10+, not a finite number"),
        ("sweep.json", '{"runs": {}}', "is of format 1, which an earlier version"),
        ("sweep.json", '{"format": 4}', "is of format 4, which a later version"),
        ("sweep.json", '{"format": 3, "runs": [1]}', "its runs are not sections"),
    ],
)
def test_damaged_file_or_other_format_raises_user_error(
    workdir, name, content, message
):
    (workdir / name).write_text(content)
    with pytest.raises(UserError, match=message) as error:
        read_runs(workdir, "test")
    assert "\n" not in str(error.value)


def test_run_of_an_earlier_version_raises_user_error(tmp_path):
    for name, config in (("a", {"format": FORMAT}), ("b", {})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="/b is of format 1"):
        read_runs(tmp_path, "test")


@pytest.mark.parametrize("flag", ["workdir", "csv", "markdown", "figure"])
def test_url_raises_user_error(report, flag):
    done = report(f"--{flag}=gs://bucket/x")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: --{flag}=gs://bucket/x is a URL")
