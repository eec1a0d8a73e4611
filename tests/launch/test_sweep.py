import contextlib
import dataclasses
import json
import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from launch import runs, slurm
from launch.algebra import Search
from launch.batch import SlurmOptions
from launch.devices import slots_for
from launch.plan import stage_keys
from launch.sweep import Options, configure_all, run_sweep
from launch.sweep_file import read
from regen_jax.errors import UserError

ROOT = Path(__file__).parent.parent.parent
CONFIG = f"{ROOT}/configs/digits.py:size=tiny"
SWEEPS = sorted((ROOT / "configs/sweeps").glob("*.py"))


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_sweeps_of_the_repository_are_built(path, digits_dir, text_dir):
    asked = read(path)
    assert "import regen_jax" not in path.read_text()
    assert digits_dir == text_dir
    (config,) = re.findall("^--config=(.+)", path.read_text(), re.MULTILINE)
    extra = [f"--config.data.dir={text_dir}"]
    options = Options(f"{ROOT}/{config}", path, Path("/none"), extra=extra)
    if isinstance(asked, Search):
        assert run_sweep(dataclasses.replace(options, dry_run=True)) == 0
    else:
        configured = configure_all(options, asked)
        assert len({run.name for run in configured}) == len(asked) > 1
    assert not Path("/none").exists()


def test_same_sweep_on_the_test_split_evaluates_again(options, stub):
    assert (
        run_sweep(options) == run_sweep(dataclasses.replace(options, split="test")) == 0
    )
    for name in ("width=16", "width=32"):
        metrics = [
            runs.metrics(options.workdir / name, split)["prior/nll"]
            for split in ("validation", "test")
        ]
        assert metrics[0] >= 0 and metrics[1] == -1


def test_runs_share_what_is_the_same_and_finished_ones_are_left(options, stub, capsys):
    stub.order("train", "width=16", "restart")
    assert run_sweep(options) == 0
    assert [line.rsplit(" ", 1)[0] for line in stub.calls()] == [
        "train abstraction",
        "train width=16",
        "train width=16",
        "evaluate width=16",
        "train width=32",
        "evaluate width=32",
    ]
    assert run_sweep(options) == 0
    assert len(stub.calls()) == 6
    assert run_sweep(dataclasses.replace(options, dry_run=True)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "# width=16: finished",
        "# width=32: finished",
    ]


def test_a_dry_run_prints_every_command_and_writes_nothing(options, capsys):
    before = sorted(options.workdir.parent.rglob("*"))
    assert run_sweep(dataclasses.replace(options, dry_run=True)) == 0
    told = capsys.readouterr().out.splitlines()
    lines = [line for line in told if line.startswith("python")]
    shared = options.workdir / "shared/abstraction"
    assert len(lines) == 5
    assert lines[0].endswith(f"--workdir={shared} --stop_after=abstraction")
    assert f"--config.train.judge.init_from={shared}" in lines[1]
    assert f"--config.train.abstraction.init_from={shared}" in lines[3]
    assert lines[2] == (
        f"python -m regen_jax.evaluate --workdir={options.workdir}/width=16 "
        "--split=validation"
    )
    assert "# trains up to abstraction for width=16 width=32" in told
    assert sorted(options.workdir.parent.rglob("*")) == before

    gang = dataclasses.replace(options, dry_run=True, processes=2)
    assert run_sweep(gang) == 0
    told = capsys.readouterr().out.splitlines()
    assert f"python -m launch.local --processes=2 -- --config={CONFIG}" in told[3]


def test_failed_runs_are_listed_and_run_again_alone(options, stub, caplog):
    caplog.set_level("INFO", "launch")
    stub.order("train", "width=16", "fail")
    assert run_sweep(options) == 1
    text = caplog.text
    assert "width=16 failed: error: it does not work" in text
    (again,) = [line for line in text.splitlines() if "again:" in line]
    assert f"--sweep={options.sweep}" in again and "--only=width=16 -- " in again
    assert runs.finished(options.workdir / "width=32", "validation")

    stub.forget()
    count = len(stub.calls())
    assert run_sweep(dataclasses.replace(options, only=["width=16"])) == 0
    assert [line.split()[1] for line in stub.calls()[count:]] == ["width=16"] * 2
    assert runs.finished(options.workdir / "width=16", "validation")


def test_what_a_run_needs_is_waited_for_and_its_failure_told(options, stub, caplog):
    caplog.set_level("INFO", "launch")
    stub.order("train", "abstraction", "fail")
    assert run_sweep(dataclasses.replace(options, parallel=2)) == 1
    assert len(stub.calls()) == 1
    words = "width=32 failed: not started: it needs shared/abstraction, which failed"
    assert words in caplog.text


def test_runs_at_a_time_get_their_share_of_the_gpus(options, stub, monkeypatch):
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    assert run_sweep(dataclasses.replace(options, parallel=2)) == 0
    places = {line.split()[1]: line.split()[2] for line in stub.calls()}
    assert places["width=16"] != places["width=32"]
    assert set(places.values()) == {"4,5", "6,7"}
    assert slots_for(1, {"CUDA_VISIBLE_DEVICES": "0,1"}) == [{}]
    assert slots_for(2, {"CUDA_VISIBLE_DEVICES": "-1"}) == [{}, {}]
    with pytest.raises(UserError, match="--parallel=3 is more than the 2 visible"):
        slots_for(3, {"CUDA_VISIBLE_DEVICES": "0,1"})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_runs_save_and_the_command_goes_on(options, stub, number):
    stub.order("train", "width=16", "wait")
    stub.order("train", "width=32", "wait")

    def stop():
        logs = [options.workdir / name / "log" for name in ("width=16", "width=32")]
        limit = time.monotonic() + 20
        while time.monotonic() < limit:
            if all(log.exists() and "waiting" in log.read_text() for log in logs):
                os.kill(os.getpid(), number)
                return
            time.sleep(0.01)

    stopper = threading.Thread(target=stop)
    stopper.start()
    interrupted = number == signal.SIGINT
    with pytest.raises(KeyboardInterrupt) if interrupted else contextlib.nullcontext():
        assert run_sweep(dataclasses.replace(options, parallel=2)) == 75
    stopper.join()
    for name in ("width=16", "width=32"):
        assert (options.workdir / name / "log").read_text().endswith("saved\n")
    stub.forget()
    assert run_sweep(options) == 0


def test_a_folder_holds_one_sweep(options, write_sweep, stub):
    assert run_sweep(options) == 0
    before = sorted(options.workdir.rglob("*"))
    write_sweep("get_sweep = lambda: grid('prior.width', 16, 64, 128)")
    with pytest.raises(UserError, match="holds another sweep: runs width=32 is"):
        run_sweep(options)
    other = dataclasses.replace(options, config=f"{CONFIG},abstraction=fsq")
    write_sweep("get_sweep = lambda: grid('prior.width', 16, 32)")
    with pytest.raises(UserError, match='config is .*tiny" in the folder and .*fsq'):
        run_sweep(other)
    assert sorted(options.workdir.rglob("*")) == before


def test_one_process_at_a_time(tmp_path):
    with runs.claimed(tmp_path, {"config": "a"}):
        refused = pytest.raises(UserError, match="this sweep is already running")
        with refused, runs.claimed(tmp_path, {"config": "a"}):
            pass
        words = 'config is "a" in the folder and "b" now'
        with (
            pytest.raises(UserError, match=words),
            runs.claimed(tmp_path, {"config": "b"}),
        ):
            pass
    with runs.claimed(tmp_path, {"config": "a"}):
        pass


def test_under_slurm_each_wave_waits_for_the_one_before(options, monkeypatch):
    submitted = []

    def submit(jobs, given, folder, *, after=(), dry_run=False):
        submitted.append((jobs, given, folder, list(after), dry_run))
        return [f"{len(submitted)}_{i}" for i, _ in enumerate(jobs)]

    monkeypatch.setattr(slurm, "submit", submit)
    monkeypatch.setattr(slurm, "options_from_flags", lambda: SlurmOptions(nodes=3))
    there = dataclasses.replace(options, on="slurm", parallel=2)
    assert run_sweep(dataclasses.replace(there, dry_run=True)) == 0
    assert not options.workdir.exists()
    assert [dry for *_, dry in submitted] == [True, True]
    submitted.clear()
    assert run_sweep(there) == 0
    (first, *_), (second, given, folder, after, dry) = submitted
    assert [job.name for job in first] == ["shared/abstraction"]
    assert [job.name for job in second] == ["width=16", "width=32"]
    assert (after, dry) == (["1_0"], False)
    assert given == SlurmOptions(nodes=3, parallel=2)
    assert folder == options.workdir / "slurm"
    train, evaluate = second[0].commands
    assert train[1:3] == ["-m", "regen_jax.train"]
    assert evaluate[1:3] == ["-m", "regen_jax.evaluate"]


def test_keys_are_of_what_is_built(options):
    first, second = configure_all(options, [{"seed": 0}, {"seed": 1}])
    assert list(stage_keys(first)) == ["judge", "abstraction", "prior"]
    assert first.stages["abstraction"] == 20
    assert json.loads(stage_keys(first)["judge"])["seed"] == 0
    assert stage_keys(first)["judge"] != stage_keys(second)["judge"]
