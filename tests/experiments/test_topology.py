"""What any devices trained, any others use: the study on runs of a few steps."""

import json
import shutil

import pytest

from experiments.topology.run import wrong


def test_runs_of_any_devices_are_used_on_any_others(
    command, trained, tiny_flags, tmp_path
):
    shutil.copytree(trained, tmp_path / "written" / "one")
    done = command.run(
        "experiments.topology.run",
        *("--quick", "--devices=1", "--devices=8", f"--workdir={tmp_path}"),
        *tiny_flags,
        # They are still saved, read and taken as each strategy lays them out.
        *(f"--config.train.{s}.init_from={trained}" for s in ("judge", "abstraction")),
        "--config.train.prior.steps=10",
        # As many as the study draws, so that one program draws all.
        "--config.evaluate.samples=8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = json.loads((tmp_path / "topology.json").read_text())
    assert [(row["written by"], row["devices"]) for row in table] == [
        (name, number)
        for name in ("one", "mesh", "pmap", "processes")
        for number in (1, 8)
    ]
    assert all(row["parameters"] for row in table)
    assert all(row["init_from"] in (True, None) for row in table)
    done = {
        key: [
            (row["written by"], row["devices"]) for row in table if row[key] is not None
        ]
        for key in ("metrics", "init_from", "continued")
    }
    assert done["metrics"] == [("mesh", 1), ("mesh", 8)]
    diagonal = [("mesh", 1), ("processes", 8)]
    assert done["init_from"] == done["continued"] == diagonal
    assert not list((tmp_path / "written").glob("*/*/damaged"))


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": False},
        {"init_from": False},
        {"samples y_prime": 1.0},
        {"samples y": 2.0},
        {"metrics": float("nan")},
        {"continued": 0.01},
    ],
)
def test_what_differs_is_named(change):
    row = {"parameters": True, "init_from": True, "samples y_prime": 0.0}
    row |= {"samples y": 1.0, "metrics": 1e-6, "continued": None}
    assert wrong(row) == []
    assert wrong({**row, **change}) == list(change)
