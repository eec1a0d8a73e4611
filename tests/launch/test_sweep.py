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
from launch.commands import Options
from launch.local import slots_for
from launch.plan import stage_keys
from launch.search_space import Search, read_sweep
from launch.sweep import configure_all, run_sweep
from regen_jax.cli.workdir import read_metrics
from regen_jax.errors import UserError

ROOT = Path(__file__).parent.parent.parent
CONFIG = f"{ROOT}/configs/digits.py:size=tiny"
SWEEPS = sorted((ROOT / "configs/sweeps").glob("*.py"))


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_sweeps_of_the_repository_make_configs(path, digits_dir, text_dir):
    sweep = read_sweep(path)
    assert "import regen_jax" not in path.read_text()
    assert digits_dir == text_dir
    (config,) = re.findall("^--config=(.+)", path.read_text(), re.MULTILINE)
    extra = [f"--config.data.dir={text_dir}"]
    options = Options(f"{ROOT}/{config}", path, Path("/none"), extra=extra)
    if isinstance(sweep, Search):
        assert run_sweep(dataclasses.replace(options, dry_run=True)) == 0
    else:
        configured = configure_all(options, sweep)
        assert len({run.name for run in configured}) == len(sweep) > 1
    assert not Path("/none").exists()


def test_sweep_on_another_split_evaluates_again(options, stub):
    assert (
        run_sweep(options) == run_sweep(dataclasses.replace(options, split="test")) == 0
    )
    for name in ("width=16", "width=32"):
        metrics = [
            read_metrics(options.workdir / name, split)["prior/nll"]
            for split in ("validation", "test")
        ]
        assert metrics[0] >= 0 and metrics[1] == -1


def test_runs_share_equal_stages_and_finished_runs_are_skipped(options, stub, capsys):
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


def test_dry_run_prints_every_command_and_writes_nothing(options, capsys):
    before = sorted(options.workdir.parent.rglob("*"))
    assert run_sweep(dataclasses.replace(options, dry_run=True)) == 0
    output = capsys.readouterr().out.splitlines()
    lines = [line for line in output if line.startswith("python")]
    shared = options.workdir / "shared/abstraction"
    assert len(lines) == 5
    assert lines[0].endswith(f"--workdir={shared} --stop_after=abstraction")
    assert f"--config.train.judge.init_from={shared}" in lines[1]
    assert f"--config.train.abstraction.init_from={shared}" in lines[3]
    assert lines[2] == (
        f"python -m regen_jax.evaluate --workdir={options.workdir}/width=16 "
        "--split=validation"
    )
    assert "# trains up to abstraction for width=16 width=32" in output
    assert sorted(options.workdir.parent.rglob("*")) == before

    several = dataclasses.replace(options, dry_run=True, processes=2)
    assert run_sweep(several) == 0
    output = capsys.readouterr().out.splitlines()
    assert f"python -m launch.local --processes=2 -- --config={CONFIG}" in output[3]


def test_failed_runs_are_listed_with_command_to_rerun_them(options, stub, caplog):
    caplog.set_level("INFO", "launch")
    stub.order("train", "width=16", "fail")
    assert run_sweep(options) == 1
    text = caplog.text
    assert "width=16 failed: error: it does not work" in text
    (advice,) = [line for line in text.splitlines() if "again:" in line]
    assert f"--sweep={options.sweep}" in advice and "--only=width=16 -- " in advice
    assert runs.finished(options.workdir / "width=32", "validation")

    stub.forget()
    count = len(stub.calls())
    assert run_sweep(dataclasses.replace(options, only=["width=16"])) == 0
    assert [line.split()[1] for line in stub.calls()[count:]] == ["width=16"] * 2
    assert runs.finished(options.workdir / "width=16", "validation")


def test_run_waits_for_what_it_needs_and_fails_with_it(options, stub, caplog):
    caplog.set_level("INFO", "launch")
    stub.order("train", "abstraction", "fail")
    assert run_sweep(dataclasses.replace(options, parallel=2)) == 1
    assert len(stub.calls()) == 1
    message = "not started: it needs shared/abstraction, which failed"
    assert f"width=32 failed: {message}" in caplog.text


def test_parallel_runs_divide_the_gpus(options, stub, monkeypatch):
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    assert run_sweep(dataclasses.replace(options, parallel=2)) == 0
    places = {line.split()[1]: line.split()[2] for line in stub.calls()}
    assert places["width=16"] != places["width=32"]
    assert set(places.values()) == {"4,5", "6,7"}
    with pytest.raises(UserError, match="--parallel=5 is more than the 4 visible"):
        slots_for(5)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert slots_for(1) == [{}]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert slots_for(2) == [{}, {}]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_lets_runs_save_and_same_command_resumes(options, stub, number):
    stub.order("train", "width=16", "wait")
    stub.order("train", "width=32", "wait")

    def stop():
        logs = [options.workdir / name / "log" for name in ("width=16", "width=32")]
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
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


def test_folder_with_another_sweep_raises_user_error(options, write_sweep, stub):
    assert run_sweep(options) == 0
    before = sorted(options.workdir.rglob("*"))
    write_sweep("get_sweep = lambda: grid('prior.width', 16, 64, 128)")
    with pytest.raises(
        UserError,
        match=r"holds another sweep: sweep\.runs\.width=128 is 'nothing' there",
    ):
        run_sweep(options)
    other = dataclasses.replace(options, config=f"{CONFIG},abstraction=fsq")
    write_sweep("get_sweep = lambda: grid('prior.width', 16, 32)")
    with pytest.raises(UserError, match="sweep.config is .*tiny' there and .*fsq"):
        run_sweep(other)
    assert sorted(options.workdir.rglob("*")) == before


def test_locked_folder_raises_user_error(tmp_path):
    with runs.locked(tmp_path, {"config": "a"}):
        refused = pytest.raises(UserError, match="this sweep is already running")
        with refused, runs.locked(tmp_path, {"config": "a"}):
            pass
        message = "sweep.config is 'a' there and 'b' here"
        with (
            pytest.raises(UserError, match=message),
            runs.locked(tmp_path, {"config": "b"}),
        ):
            pass
    with runs.locked(tmp_path, {"config": "a"}):
        pass


def test_slurm_level_waits_for_the_one_before(options, monkeypatch):
    submitted = []

    def submit(jobs, slurm_options, folder, *, after=(), dry_run=False):
        submitted.append((jobs, slurm_options, folder, list(after), dry_run))
        return [f"{len(submitted)}_{i}" for i, _ in enumerate(jobs)]

    monkeypatch.setattr(slurm, "submit", submit)
    there = dataclasses.replace(options, on="slurm", parallel=2, slurm={"nodes": 3})
    assert run_sweep(dataclasses.replace(there, dry_run=True)) == 0
    assert not options.workdir.exists()
    assert [dry for *_, dry in submitted] == [True, True]
    submitted.clear()
    assert run_sweep(there) == 0
    (first, *_), (second, slurm_options, folder, after, dry) = submitted
    assert [job.name for job in first] == ["shared/abstraction"]
    assert [job.name for job in second] == ["width=16", "width=32"]
    assert (after, dry) == (["1_0"], False)
    assert slurm_options == {"nodes": 3, "parallel": 2}
    assert folder == options.workdir / "slurm"
    train, evaluate = second[0].commands
    assert train[1:3] == ["-m", "regen_jax.train"]
    assert evaluate[1:3] == ["-m", "regen_jax.evaluate"]


def test_stage_keys_come_from_built_config(options):
    first, second = configure_all(options, [{"seed": 0}, {"seed": 1}])
    assert list(stage_keys(first)) == ["judge", "abstraction", "prior"]
    assert first.stages["abstraction"] == 20
    assert json.loads(stage_keys(first)["judge"])["seed"] == 0
    assert stage_keys(first)["judge"] != stage_keys(second)["judge"]
