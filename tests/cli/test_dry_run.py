import pytest

from regen_jax.cli import dry_run
from regen_jax.errors import UserError
from regen_jax.training.parallel.strategies import make_strategy


@pytest.fixture(scope="module")
def run(tiny_run):
    return tiny_run("abstraction=downsample,prior=regression")


def test_preview_prints_one_line_per_stage(run, capsys):
    dry_run.preview(run, make_strategy(run.parallel))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        stage.name for stage in run.stages
    ]
    for word in ("parameters", "FLOP per step", "B per device"):
        assert all(word in line for line in lines)


def test_stage_that_exceeds_memory_raises_user_error(run, monkeypatch):
    monkeypatch.setattr(dry_run, "device_memory", lambda: 2_000_000)
    with pytest.raises(UserError, match=r"a device has 2 MB .*: judge \d") as error:
        dry_run.preview(run, make_strategy(run.parallel))
    assert "\n" not in str(error.value)
