import json

import pytest

from experiments.scaling.programs import closed_form
from tests.studies import run_study

CONFIG = """
from ml_collections import ConfigDict


def get_config():
    return ConfigDict(
        dict(
            seed=0,
            task="toy_parts:Stripes",
            data={"side": 32},
            source={"name": "identity"},
            abstraction={"name": "identity"},
            prior={"name": "toy_parts:Table"},
            decoder={"name": "inverse"},
            train={"prior": {"batch_size": 4}},
            parallel={},
            checkpoint={},
            log={},
            evaluate={},
        )
    )
"""


@pytest.fixture
def study(command):
    """Runs the study in (workdir, *flags): what it prints."""

    def study(workdir, *arguments):
        done = run_study(command, "scaling", f"--workdir={workdir}", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return study


def test_a_stage_on_one_and_four_devices(study, tmp_path):
    config = tmp_path / "config.py"
    config.write_text(CONFIG)
    output = study(tmp_path, f"--config={config}", "--devices=4", "--devices=1")
    rows = json.loads((tmp_path / "scaling.json").read_text())
    places = [(row["strategy"], row["devices"]) for row in rows]
    assert places == [("data", 1), ("data", 4), ("fsdp", 4), ("pmap", 4)]
    assert len(output.splitlines()) == 2 + 2 + len(rows)
    one, data, fsdp, pmap = rows
    assert one["sent"] == one["closed_form"] == 0 and one["collectives"] == {}
    # A picture of 32 x 32 for each of three classes.
    assert one["parameters"] == 3 * 32 * 32
    for row in (data, pmap):
        assert row["closed_form"] == 2 * 3 / 4 * 4 * row["parameters"]
        assert 1 <= row["sent"] / row["closed_form"] < 1.02
    assert fsdp["closed_form"] == data["closed_form"]
    assert fsdp["sent"] > 0 and fsdp["arguments"] < data["arguments"] / 2


def test_a_plan_for_more_chips_than_are_compiled(study, tmp_path):
    small = ["--width=128", "--layers=1", "--batch=1"]
    output = study(
        tmp_path, "--plan", *small, "--chips=16", "--chips=64", "--most=16"
    ).splitlines()
    compiled, derived = json.loads((tmp_path / "plan.json").read_text())
    assert (compiled["chips"], compiled["compiled_for"]) == (16, 16)
    assert (derived["chips"], derived["compiled_for"]) == (64, 16)
    assert "| compiled " in output[-2] and "| derived from 16 " in output[-1]
    # Embeddings of codes and classes, positions, the block, the norm and the head.
    width, vocab, classes, length = 128, 16384, 1000, 1024
    block = 12 * width**2 + 13 * width
    parameters = (vocab + classes + length + 1 + 2) * width + block
    parameters += (width + 1) * vocab
    assert abs(compiled["parameters"] - parameters) <= 2 * width
    assert derived["model_flops"] == 4 * compiled["model_flops"]
    # Within a node nothing changes; there are 2 nodes, then 8.
    assert derived["near"] == compiled["near"]
    assert derived["closed_form_near"] == compiled["closed_form_near"]
    split = compiled["closed_form_near"] / (2 * 7 / 8)
    whole = 4 * compiled["parameters"] - split
    assert compiled["closed_form_far"] == 2 * (1 / 2 * split / 8 + 15 / 16 * whole)
    assert derived["closed_form_far"] == 2 * (7 / 8 * split / 8 + 63 / 64 * whole)


@pytest.mark.parametrize(
    "split, whole, data, fsdp, near, far",
    [
        (0, 800, 1, 1, 0, 0),
        (0, 800, 8, 1, 0, 2 * 7 * 100),
        (800, 0, 1, 8, 2 * 7 * 100, 0),
        (800, 80, 1, 8, 2 * 7 * 100 + 2 * 7 * 10, 0),
        (800, 0, 4, 2, 2 * 400, 2 * 3 * 100),
        (800, 80, 4, 2, 2 * 400, 2 * 3 * 100 + 2 * 7 * 10),
    ],
)
def test_closed_form_by_hand(split, whole, data, fsdp, near, far):
    assert closed_form(split, whole, data, fsdp) == (near, far)
