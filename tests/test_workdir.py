import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from regen_jax import workdir
from regen_jax.errors import UserError
from regen_jax.workdir import claimed, output_folder

CONFIG = {"seed": 0, "prior": {"width": 8}, "log": {"every": 50}}

HERE = os.uname().nodename

HOLDER = """
import os, sys, time
from pathlib import Path
from regen_jax import workdir
workdir.LEASE_SECONDS = 0.5
folder = Path(sys.argv[1])
with workdir.claimed(folder, {"seed": 0}):
    lock = folder / "lock"
    lock.write_text(lock.read_text().replace(os.uname().nodename, sys.argv[2]))
    print("held", flush=True)
    while True:
        os.utime(lock)
        time.sleep(0.05)
"""


@pytest.fixture
def holder(tmp_path, monkeypatch):
    """Starts another process that holds `tmp_path`, on a machine of that name."""
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


def test_it_is_held_and_given_back(tmp_path):
    with claimed(tmp_path / "run", CONFIG):
        assert (tmp_path / "run" / "lock").exists()
        assert workdir.read(tmp_path / "run") == CONFIG
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]
    with claimed(tmp_path / "run", CONFIG):
        pass


@pytest.mark.parametrize("host", [HERE, "elsewhere"])
def test_two_runs_do_not_share_it(tmp_path, holder, host):
    pid = holder(host).pid
    with (
        pytest.raises(UserError, match=f"in use by process {pid} on {host}"),
        claimed(tmp_path, {"seed": 0}),
    ):
        pass


@pytest.mark.parametrize("host", [HERE, "elsewhere"])
def test_the_lock_of_a_killed_run_is_stale(tmp_path, holder, host):
    process = holder(host)
    process.kill()
    process.wait()
    assert (tmp_path / "lock").exists()
    with claimed(tmp_path, {"seed": 0}):
        pass


def test_what_decides_nothing_may_change(tmp_path):
    with claimed(tmp_path, CONFIG):
        pass
    changed = CONFIG | {"log": {"every": 5}, "parallel": {"fsdp": 4}}
    with claimed(tmp_path, changed):
        assert json.loads((tmp_path / "config.json").read_text()) == changed


def test_another_config_is_refused_and_nothing_written(tmp_path):
    with claimed(tmp_path, CONFIG):
        pass
    before = (tmp_path / "config.json").stat()
    other = CONFIG | {"prior": {"width": 16}}
    with (
        pytest.raises(UserError, match="config.prior.width is 8 there and 16 here"),
        claimed(tmp_path, other),
    ):
        pass
    assert (tmp_path / "config.json").stat() == before
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize("folder", ["/proc/run", "/sys/kernel/run"])
def test_a_place_that_cannot_be_written(folder):
    with (
        pytest.raises(UserError, match="cannot be used"),
        claimed(Path(folder), CONFIG),
    ):
        pass


def test_a_part_made_otherwise_is_not_taken(tmp_path):
    made = {"task": "t", "data": {}, "prior": {"width": 8, "guidance": 1.0}}
    with claimed(tmp_path, made):
        pass
    other = {**made, "prior": {"width": 8, "guidance": 2.0, "top_p": 0.9}}
    workdir.check_same_part(tmp_path, other, "prior", {"guidance", "top_p"})
    with pytest.raises(
        UserError, match=r"config\.prior\.guidance is 1.0 there and 2.0"
    ):
        workdir.check_same_part(tmp_path, other, "prior", {"top_p"})
    with pytest.raises(UserError, match=r"config\.data is {} there"):
        workdir.check_same_part(tmp_path, {**other, "data": 1}, "prior", {"guidance"})


@pytest.mark.parametrize("name", ["x.npz", "deep/a.WAV", "x.json"])
def test_out_that_looks_like_a_file_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="looks like a file: give the folder"):
        output_folder(f"{tmp_path}/{name}")
    (tmp_path / name).mkdir(parents=True)
    assert output_folder(f"{tmp_path}/{name}") == tmp_path / name
    assert output_folder(f"{tmp_path}/v1.2") == tmp_path / "v1.2"
