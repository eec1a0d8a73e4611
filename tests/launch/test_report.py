import csv
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from launch.figures import Result, chosen, differing, rows
from launch.report import cells, evaluated_split, markdown, results
from regen_jax.cli.workdir import FORMAT
from regen_jax.errors import UserError

ROOT = Path(__file__).parent.parent.parent
FIGURES = {
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
            if (abstraction, seed) in FIGURES:
                accuracy = FIGURES[abstraction, seed]
                metrics = {"samples/accuracy": accuracy, "train/seconds": 2.0}
                (tmp_path / name).mkdir()
                (tmp_path / name / "metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "shared" / "judge").mkdir(parents=True)
    (tmp_path / "sweep.json").write_text(
        json.dumps({"format": FORMAT, "runs": changes})
    )
    return tmp_path


def reported(workdir, *flags):
    return subprocess.run(
        [sys.executable, "-m", "launch.report", f"--workdir={workdir}", *flags],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_a_report_has_means_and_spreads_over_seeds(workdir):
    done = reported(workdir)
    assert done.returncode == 0, done.stderr
    values = [FIGURES["fsq", seed] for seed in range(3)]
    mean, spread = statistics.mean(values), statistics.stdev(values)
    shown = f"{mean:.4g} ± {spread:.2g}"
    assert shown == "0.7083 ± 0.19"
    assert re.search(rf"fsq\W+3\W+{shown}", done.stdout)
    assert (workdir / "report.md").read_text().splitlines() == [
        "| abstraction | n | samples/accuracy |",
        "| --- | --- | --- |",
        f"| fsq | 3 | {shown} |",
        "| vq | 2 of 3 | 0.375 ± 0.18 |",
        "",
        "On the test split.",
    ]
    assert "test split: written to" in done.stderr
    with open(workdir / "report.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert float(first["samples/accuracy"]) == mean
    assert float(first["samples/accuracy std"]) == spread
    assert (first[":abstraction"], first["n"], second["runs"]) == ("fsq", "3", "3")
    assert float(second["train/seconds"]) == 2
    with Image.open(workdir / "report.png") as picture:
        assert picture.format == "PNG" and picture.width > 300
    words = "not finished: abstraction=vq,seed=2: not started"
    assert words in done.stderr.splitlines()


def test_files_and_figures_can_be_chosen(workdir, tmp_path):
    places = [f"--{kind}={tmp_path}/mine.{kind}" for kind in ("csv", "markdown")]
    figure = f"--figure={tmp_path}/mine.pdf"
    done = reported(workdir, "--metrics=train/*,samples/acc*", *places, figure)
    assert done.returncode == 0, done.stderr
    titles = (tmp_path / "mine.markdown").read_text().splitlines()[0]
    assert titles == "| abstraction | n | train/seconds | samples/accuracy |"
    assert (tmp_path / "mine.pdf").read_bytes().startswith(b"%PDF")
    assert not (workdir / "report.csv").exists()


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--metrics=nll"], "--metrics=nll fits no figure: known are samples/accuracy"),
        (["--workdir=/nowhere"], "/nowhere holds no sweep, nor folders of runs"),
        (["stray"], "unknown argument 'stray'"),
        (["--csv=/nowhere/x.csv"], "/nowhere/x.csv"),
    ],
)
def test_what_cannot_be_reported_is_one_line(workdir, flags, words):
    done = reported(workdir, *flags)
    assert done.returncode == 2 and words in done.stderr
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("error: ")


def test_report_reads_validation_where_runs_have_it(workdir):
    metrics = json.dumps({"samples/accuracy": 1.0})
    run = workdir / "abstraction=vq,seed=0"
    (run / "metrics_validation.json").write_text(metrics)
    assert evaluated_split(workdir) == "validation"
    values = {
        split: [r.metrics for r in results(workdir, split) if r.name == run.name]
        for split in ("validation", "test")
    }
    assert values["validation"] == [{"samples/accuracy": 1.0}]
    assert values["test"][0]["samples/accuracy"] == FIGURES["vq", 0]
    (run / "metrics_validation.json").unlink()
    assert evaluated_split(workdir) == "test"


def test_ordinary_runs_are_told_apart_by_their_configs(tmp_path):
    for name, width, seed in (("a", 1, 0), ("b", 1, 1), ("c", 2, 0)):
        train = {"prior": {"steps": 3, "init_from": name}}
        config = {"seed": seed, "prior": {"width": width, "depth": 1}, "train": train}
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(
            json.dumps({"format": FORMAT, **config})
        )
    found = results(tmp_path, "test")
    assert [result.overrides for result in found] == [
        {"seed": 0, "prior.width": 1},
        {"seed": 1, "prior.width": 1},
        {"seed": 0, "prior.width": 2},
    ]
    texts = cells(rows(found), [])
    assert texts == [["width", "n"], ["1", "0 of 2"], ["2", "0 of 1"]]


def test_one_seed_has_no_spread_and_figures_may_be_missing():
    (row,) = rows([Result("a", {"seed": 0}, {"x": 1.0})])
    assert row.shown("x") == "1" and row.shown("y") == "" and row.spread("x") is None
    (row,) = rows(
        [
            Result("a", {"seed": 0}, {"x": float("nan")}),
            Result("b", {"seed": 1}, {"x": 1.0}),
            Result("c", {"seed": 2}, None),
        ]
    )
    assert row.shown("x") == "nan ± nan" and row.number == 2


def test_figures_are_chosen_by_pattern_or_by_use():
    names = ["train/s", "prior/nll", "samples/accuracy"]
    assert chosen(names, []) == ["samples/accuracy", "prior/nll"]
    assert chosen(["a", "b"], []) == ["a", "b"]
    assert chosen(names, ["*/s", "*"]) == names
    with pytest.raises(UserError, match="known are train/s"):
        chosen(names, ["x"])
    assert chosen([], ["x"]) == []


def test_what_differs_leaves_out_what_is_alike():
    found = differing({"a": {"x": {"y": 1, "z": [1]}}, "b": {"x": {"z": [1]}}})
    assert found == {"a": {"x.y": 1}, "b": {}}


def test_markdown_keeps_its_columns():
    assert markdown([["a|b"], ["c"]]) == "| a\\|b |\n| --- |\n| c |\n"


RUN = "abstraction=fsq,seed=0"


@pytest.mark.parametrize(
    "name, content, words",
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
def test_damaged_file_or_other_format_is_one_line(workdir, name, content, words):
    (workdir / name).write_text(content)
    with pytest.raises(UserError, match=words) as error:
        results(workdir, "test")
    assert "\n" not in str(error.value)


def test_folder_with_a_run_of_an_earlier_version_is_refused(tmp_path):
    for name, config in (("a", {"format": FORMAT}), ("b", {})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="/b is of format 1"):
        results(tmp_path, "test")


@pytest.mark.parametrize("flag", ["workdir", "csv", "markdown", "figure"])
def test_url_is_refused(workdir, flag):
    done = reported(workdir, f"--{flag}=gs://bucket/x")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: --{flag}=gs://bucket/x is a URL")
