"""`import regen_jax as rj`: names, and a run without the command line."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

import regen_jax as rj


@pytest.mark.parametrize("name", rj.__all__)
def test_public_name_is_documented(name):
    assert getattr(rj, name).__doc__ or name in (
        "Example",
        "Variables",
        "Space",
        "Value",
    )
    assert name in dir(rj)


def test_unknown_name_raises_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'train_runs'"):
        rj.train_runs  # noqa: B018


def test_import_alone_does_not_import_jax():
    code = "import sys, regen_jax; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_run_is_trained_to_a_stage_and_not_again(tiny_config, tmp_path):
    config = tiny_config("")
    config.train.judge.steps = 2
    for _ in range(2):
        stages = rj.train_run(config, tmp_path / "run", stop_after="judge")
        assert list(stages) == ["judge"] and stages["judge"].steps == 2
        assert not (tmp_path / "run/abstraction").exists()


def test_run_is_sampled_and_evaluated_by_functions(trained, tmp_path):
    """The README's example trains as well: `test_docs.py` runs it."""
    run = shutil.copytree(trained, tmp_path / "run")
    samples = rj.sample_run(run, num=4, seed=1)
    again = rj.sample_run(run, num=3, seed=1)
    assert samples.y.shape == (4, 28, 28, 1) and samples.y.dtype == np.uint8
    np.testing.assert_array_equal(samples.y[:3], again.y)
    metrics, failed = rj.evaluate_run(run, split="validation")
    assert not failed and metrics["samples/number"] == 20
