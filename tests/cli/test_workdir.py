import functools
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from regen_jax.cli import workdir
from regen_jax.cli.workdir import locked, output_folder
from regen_jax.errors import UserError

CONFIG = {"seed": 0, "prior": {"width": 8}, "log": {"every": 50}}

HERE = os.uname().nodename

HOLDER = """
import os, sys, time
from pathlib import Path
from regen_jax.cli import workdir
workdir.LEASE_SECONDS = 0.5
folder = Path(sys.argv[1])
with workdir.locked(folder, {"seed": 0}):
    lock = folder / "lock"
    lock.write_text(lock.read_text().replace(os.uname().nodename, sys.argv[2]))
    print("held", flush=True)
    while True:
        os.utime(lock)
        time.sleep(0.05)
"""


@pytest.fixture
def holder(tmp_path, monkeypatch):
    """Starts a process that locks `tmp_path`, as if on a machine of that name."""
    monkeypatch.setattr(workdir, "LEASE_SECONDS", 0.5)
    started = []

    def start(host):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, tmp_path, host],
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_lock_of_a_workdir_is_released_at_the_end(tmp_path):
    with locked(tmp_path / "run", CONFIG):
        assert (tmp_path / "run" / "lock").exists()
        assert workdir.read(tmp_path / "run") == CONFIG
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]
    with locked(tmp_path / "run", CONFIG):
        pass


@pytest.mark.parametrize("host", [HERE, "elsewhere"])
def test_second_run_in_a_locked_workdir_raises_user_error(tmp_path, holder, host):
    pid = holder(host).pid
    with (
        pytest.raises(UserError, match=f"in use by process {pid} on {host}"),
        locked(tmp_path, {"seed": 0}),
    ):
        pass


@pytest.mark.parametrize("host", [HERE, "elsewhere"])
def test_lock_of_a_killed_run_is_taken_over(tmp_path, holder, host):
    process = holder(host)
    process.kill()
    process.wait()
    assert (tmp_path / "lock").exists()
    with locked(tmp_path, {"seed": 0}):
        pass


def test_run_resumes_with_other_mutable_options(tmp_path):
    data = {"name": "digits", "dir": "/here"}
    with locked(tmp_path, CONFIG | {"data": data}):
        pass
    changed = CONFIG | {"log": {"every": 5}, "parallel": {"axes": {"fsdp": 4}}}
    changed["data"] = data | {"dir": "/on/another/machine"}
    with locked(tmp_path, changed):
        assert workdir.read(tmp_path) == changed


def test_other_config_raises_user_error_and_writes_nothing(tmp_path):
    with locked(tmp_path, CONFIG):
        pass
    before = (tmp_path / "config.json").stat()
    other = CONFIG | {"prior": {"width": 16}}
    with (
        pytest.raises(UserError, match="config.prior.width is 8 there and 16 here"),
        locked(tmp_path, other),
    ):
        pass
    assert (tmp_path / "config.json").stat() == before
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize("folder", ["/proc/run", "/sys/kernel/run"])
def test_unwritable_workdir_raises_user_error(folder):
    with (
        pytest.raises(UserError, match="cannot be used"),
        locked(Path(folder), CONFIG),
    ):
        pass


def made(folder, stage="prior", steps=(), **sections):
    """Writes a run with empty checkpoints at some steps; returns its config."""
    config = {"task": "t", "data": {}, "train": {"prior": {"steps": 20}}, **sections}
    with locked(folder, config):
        pass
    for step in steps:
        (folder / stage / "checkpoints" / str(step)).mkdir(parents=True)
    return config


def test_stage_of_a_part_with_other_options_raises_user_error(tmp_path):
    config = made(tmp_path, steps=[20], prior={"width": 8, "guidance": 1.0})
    other = {**config, "prior": {"width": 8, "guidance": 2.0, "top_p": 0.9}}
    workdir.check_source(tmp_path, other, "prior", {"guidance", "top_p"})
    with pytest.raises(
        UserError, match=r"config\.prior\.guidance is 1.0 there and 2.0"
    ):
        workdir.check_source(tmp_path, other, "prior", {"top_p"})
    with pytest.raises(UserError, match=r"config\.data is {} there"):
        workdir.check_source(tmp_path, {**other, "data": 1}, "prior", {"guidance"})
    parts = {"generator": {"guidance": 1.0, "patch": 2}}
    config = made(tmp_path / "nested", steps=[20], prior=parts)
    other = {**config, "prior": {"generator": {"guidance": 2.0, "patch": 2}}}
    source = tmp_path / "nested"
    workdir.check_source(source, other, "prior", {"generator.guidance"})
    with pytest.raises(UserError, match=r"config\.prior\.generator.* there"):
        workdir.check_source(source, other, "prior", {"guidance"})
    # A prior learned the codes of its abstraction.
    with pytest.raises(UserError, match=r"config\.abstraction is None there"):
        workdir.check_source(tmp_path, {**config, "abstraction": {}}, "prior")


def test_source_run_may_read_its_data_elsewhere(tmp_path):
    config = made(tmp_path, steps=[20], data={"name": "digits", "dir": "/gone"})
    for data in ({"name": "digits"}, {"name": "digits", "dir": "/here"}):
        workdir.check_source(tmp_path, config | {"data": data}, "prior")
    with pytest.raises(UserError, match=r"config\.data\.name is 'digits' there"):
        workdir.check_source(tmp_path, config | {"data": {"name": "mnist"}}, "prior")


def test_empty_section_differs_not_from_none():
    config = {"data": {"name": "digits"}}
    for splits in ({}, {"train": {}}):
        other = {"data": {"name": "digits", "splits": splits}}
        assert not list(workdir.differences(config, other, "config"))
        assert not list(workdir.differences(other, config, "config"))
    other = {"data": {"name": "digits", "splits": {"train": "train"}}}
    (words,) = workdir.differences(config, other, "config")
    assert words == "config.data.splits is 'nothing' there and {'train': 'train'} here"


@pytest.mark.parametrize("steps", [[], [19]])
def test_advised_command_quotes_a_folder_with_a_space(tmp_path, steps):
    source = tmp_path / "my run"
    if steps:
        config = made(source, steps=steps)
        check = functools.partial(workdir.check_source, source, config, "prior")
    else:
        check = functools.partial(workdir.read, source)
    with pytest.raises(UserError, match="python -m regen_jax.train") as error:
        check()
    command = str(error.value).partition(" with ")[2]
    assert f"--workdir={source}" in shlex.split(command)


@pytest.mark.parametrize(
    "steps, words",
    [
        ([], "has no checkpoint of stage 'prior'"),
        ([3, 19], "has 19 of 20 steps: finish it with python -m regen_jax.train"),
    ],
)
def test_unfinished_stage_raises_user_error(tmp_path, steps, words):
    config = made(tmp_path, steps=steps)
    # What is being saved has another name until it is whole.
    partial = tmp_path / "prior/checkpoints/20.orbax-checkpoint-tmp"
    partial.mkdir(parents=True)
    with pytest.raises(UserError, match=words) as error:
        workdir.check_source(tmp_path, config, "prior")
    assert str(error.value).startswith("config.train.prior.init_from: ")


def test_steps_that_are_no_int_raise_user_error(tmp_path):
    config = made(tmp_path, steps=[7], train={"prior": {"steps": "20"}})
    with pytest.raises(UserError, match=r"train\.prior\.steps is '20', no int"):
        workdir.check_source(tmp_path, config, "prior")


def test_stage_without_parameters_is_taken_without_steps(tmp_path):
    config = made(tmp_path, steps=[0], train={"prior": {"steps": 20}})
    workdir.check_source(tmp_path, config, "prior", parametric=False)
    with pytest.raises(UserError, match="has 0 of 20 steps"):
        workdir.check_source(tmp_path, config, "prior")


def test_stage_that_was_taken_itself_counts_as_finished(tmp_path):
    config = made(tmp_path, steps=[7], train={"prior": {"steps": 20, "init_from": "a"}})
    workdir.check_source(tmp_path, config, "prior")


EARLIER = "is of format 1, which an earlier version .* this one reads 3: train again"
UNREADABLE = {
    "no-format": ('{"seed": 0}', EARLIER),
    "earlier": ('{"format": 1, "seed": 0}', EARLIER),
    "later": ('{"format": 4, "seed": 0}', "is of format 4, which a later version .* 3"),
    "format-no-number": ('{"format": "3"}', "its format is '3', not a number"),
    "format-true": ('{"format": true}', "its format is True, not a number"),
    "half": ('{"format": 3, "se', "config.json cannot be read"),
    "empty": ("", "config.json cannot be read"),
    "list": ("[2]", "config.json cannot be read: it holds no config"),
    "no-text": (b"\xff\xfe", "config.json cannot be read"),
    "nested": ("[" * 10**5, "config.json cannot be read"),
    "list-as-section": ('{"format": 3, "train": []}', "train must be a section"),
    "text-as-section": ('{"format": 3, "data": "x"}', "data must be a section"),
    "no-stage": (
        '{"format": 3, "train": {"prior": 3}}',
        "train.prior must be a section",
    ),
}


@pytest.mark.parametrize("content, words", UNREADABLE.values(), ids=UNREADABLE)
def test_damaged_config_or_other_format_raises_user_error(tmp_path, content, words):
    path = tmp_path / "config.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = path.read_bytes(), path.stat().st_mtime_ns

    def claim():
        with locked(tmp_path, {"seed": 0}):
            pass

    for read in (
        claim,
        lambda: workdir.read(tmp_path),
        lambda: workdir.check_source(tmp_path, {"seed": 0}, "prior"),
    ):
        with pytest.raises(UserError, match=words) as error:
            read()
        assert "\n" not in str(error.value)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_checkpoints_without_a_config_raise_user_error(tmp_path):
    made(tmp_path, steps=[20])
    (tmp_path / "config.json").unlink()
    with (
        pytest.raises(UserError, match="of a run whose config.json is gone"),
        locked(tmp_path, CONFIG),
    ):
        pass


@pytest.mark.parametrize("name", ["x.npz", "deep/a.WAV", "x.json"])
def test_out_that_looks_like_a_file_raises_user_error(tmp_path, name):
    with pytest.raises(UserError, match="looks like a file: give the folder"):
        output_folder(f"{tmp_path}/{name}")
    (tmp_path / name).mkdir(parents=True)
    assert output_folder(f"{tmp_path}/{name}") == tmp_path / name
    assert output_folder(f"{tmp_path}/v1.2") == tmp_path / "v1.2"


@pytest.mark.parametrize(
    "sources",
    [
        {"judge": "", "abstraction": "a", "prior": "a"},
        {"judge": "a", "abstraction": "a", "decoder": "", "prior": ""},
        {"judge": "a", "prior": "a"},  # its abstraction is a rule
    ],
)
def test_stage_may_be_taken_with_what_it_learned_from(sources):
    workdir.check_taken_together(sources)


@pytest.mark.parametrize("stage, part", [("prior", "abstraction"), ("prior", "source")])
def test_stage_taken_without_what_it_learned_from_raises_user_error(stage, part):
    words = rf"train\.{stage}\.init_from .* give config\.train\.{part}\.init_from too"
    with pytest.raises(UserError, match=words):
        workdir.check_taken_together({"judge": "a", part: "", stage: "a"})
