"""`import regen_jax as rj`: names, and a run without the command line."""

import subprocess
import sys

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
    """The README's example samples and evaluates one: `test_docs.py` runs it."""
    config = tiny_config("")
    config.train.judge.steps = 2
    for _ in range(2):
        stages = rj.train_run(config, tmp_path / "run", stop_after="judge")
        assert list(stages) == ["judge"] and stages["judge"].steps == 2
        assert not (tmp_path / "run/abstraction").exists()
