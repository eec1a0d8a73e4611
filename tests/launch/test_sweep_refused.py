import dataclasses
from pathlib import Path

import pytest

from launch.sweep import run_sweep
from regen_jax.errors import UserError

BAD_FILES = {
    "raises": ("import nowhere", "No module named 'nowhere'"),
    "syntax": ("def get_sweep(:", "SyntaxError"),
    "neither": ("", "needs get_sweep.* but has neither"),
    "both": ("get_sweep = get_search = list", "but has both"),
    "empty": ("get_sweep = list", r"returns \[\], not runs"),
    "no list": ("get_sweep = lambda: 3", "must be a list of overrides, not 3"),
    "no dicts": ("get_sweep = lambda: [3]", "a run is a dict of overrides, not 3"),
    "no search": ("get_search = lambda: 3", "returns 3, not a Search"),
    "function raises": ("get_sweep = lambda: 1 / 0", "raises ZeroDivisionError"),
    "algebra": ("get_sweep = lambda: grid('seed', 0, 0)", "the same run twice"),
    "unknown field": (
        "get_sweep = lambda: grid('prior.widht', 1, 2)",
        "run widht=1: config.prior.widht is not an option",
    ),
    "unknown section": (
        "get_sweep = lambda: grid('piror.width', 1, 2)",
        "run width=1: .*piror",
    ),
    "unknown choice": (
        "get_sweep = lambda: config_choice('abstraction', 'vq', 'dwt')",
        "run abstraction=dwt: abstraction cannot be 'dwt': known are vq",
    ),
    "wrong value": (
        "get_sweep = lambda: grid('prior.width', 16, 'wide')",
        "run width=wide: .*config.prior.width=wide",
    ),
    "other type": (
        "get_sweep = lambda: grid('train.prior.init_from', '1', '2')",
        "config.train.prior.init_from='1' would be read as 1",
    ),
    "does not fit": (
        "get_sweep = lambda: grid('prior.name', 'autoregressive', 'diffusion')",
        "run name=diffusion: config: prior 'diffusion' generates Array",
    ),
    "one config": (
        "get_sweep = lambda: chain([{}], grid('seed', 0))",
        "runs default and seed=0 have one config",
    ),
    "no data": (
        "get_sweep = lambda: grid('data.name', 'cifar10', 'mnist')",
        "run name=cifar10: data set 'cifar10' is not prepared",
    ),
}


@pytest.mark.parametrize("text, message", BAD_FILES.values(), ids=BAD_FILES)
def test_invalid_sweep_file_raises_user_error_and_writes_nothing(
    options, write_sweep, text, message
):
    write_sweep(text)
    with pytest.raises(UserError, match=message):
        run_sweep(options)
    assert not options.workdir.exists()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"sweep": Path("none.py")}, "no such Python file: none.py"),
        ({"config": "none.py"}, "--config: no such file: none.py"),
        ({"only": ["width=1"]}, "no run of this sweep: known are width=16 width=32"),
        ({"extra": ["--workdir=x"]}, "after -- come fields"),
        ({"extra": ["--config.prior.width=3"]}, "set after -- and by the sweep"),
    ],
)
def test_invalid_options_raise_user_error_and_write_nothing(options, changes, message):
    with pytest.raises(UserError, match=message):
        run_sweep(dataclasses.replace(options, **changes))
    assert not options.workdir.exists()


def test_workdir_below_a_file_raises_user_error(options, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="file/run cannot be used: .*Not a directory"):
        run_sweep(dataclasses.replace(options, workdir=tmp_path / "file" / "run"))


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--parallel=0"], "parallel"),
        (["--config=c.py"], "--sweep is needed"),
        (["--on=moon"], "moon"),
        (["stray"], "unknown argument 'stray'"),
        (["--config=c.py", "--sweep=s.py", "--workdir=x"], "no such file: c.py"),
        (["--config=c.py", "--sweep=s.py", "--workdir=gs://b/x"], "is a URL"),
        (["--config=c.py", "--sweep=s.py", "--workdir=x[1]"], "reads as a pattern"),
    ],
)
def test_command_prints_errors_as_one_line(command, tmp_path, flags, message):
    done = command.run("launch.sweep", *flags, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr and done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
