"""What the study takes for a difference; its kills are in `tests/test_kills.py`."""

import json
import shutil
import warnings

import numpy as np
import orbax.checkpoint as ocp
import pytest

from experiments.equality import differences
from tests.studies import run_study


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "copy")


def test_a_copy_is_equal(copy, trained):
    assert differences(copy, trained) == []


def test_one_bit_of_one_array_is_found(copy, trained):
    folder = copy / "prior/checkpoints/20/state"
    with warnings.catch_warnings(action="ignore"):
        state = ocp.PyTreeCheckpointer().restore(folder)
    head = state["averages"][0]["head"]
    head["kernel"] = np.array(head["kernel"])
    head["kernel"].view(np.uint32)[0, 0] ^= 1
    ocp.PyTreeCheckpointer().save(folder, state, force=True)
    (found,) = differences(copy, trained)
    assert found.startswith("prior: ") and "'averages'" in found and "'head'" in found


def test_places_in_the_data_and_fingerprints_are_compared(copy, trained):
    metadata = copy / "judge/checkpoints/20/metadata/metadata"
    kept = json.loads(metadata.read_text())
    metadata.write_text(json.dumps({**kept, "seconds": 1.0}))
    assert differences(copy, trained) == []
    metadata.write_text(json.dumps({**kept, "fingerprint": kept["fingerprint"] ^ 1}))
    assert differences(copy, trained) == ["judge: metadata"]
    moved = {"next_index": kept["iterator"]["next_index"] + 1}
    metadata.write_text(json.dumps({**kept, "iterator": moved}))
    assert differences(copy, trained) == ["judge: metadata"]


def test_missing_scalars_and_steps_are_found(copy, trained):
    shutil.rmtree(copy / "prior/checkpoints/20")
    for events in (copy / "judge").glob("events*"):
        events.unlink()
    found = differences(copy, trained)
    assert found == ["judge: scalars", "prior: step 15 is not 20"]


def test_a_folder_with_another_study_is_refused(command, tmp_path):
    (tmp_path / "whole").mkdir()
    done = run_study(command, "endurance", f"--workdir={tmp_path}")
    assert done.returncode == 2
    assert done.stderr == (
        f"error: --workdir={tmp_path} is not empty: a study needs a new one\n"
    )
