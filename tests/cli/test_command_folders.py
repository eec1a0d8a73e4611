"""Folders that commands are given: refused in one line, and nothing written."""

import json
import shutil

import pytest

from tests.cli.refusals import assert_refused, snapshot

PARTS = ("judge", "abstraction", "prior")


def test_stages_of_another_run_are_needed_only_until_they_are_copied(
    command, workdir, tiny_flags
):
    home, source = workdir.parent, workdir.rename(workdir.parent / "source")
    taken = [f"--config.train.{s}.init_from=~/source" for s in PARTS]
    command_line = *tiny_flags, *taken, "--workdir=~/run"
    for _ in range(2):
        done = command("train", *command_line, HOME=str(home))
        assert done.returncode == 0, done.stderr
        assert "1/20" not in done.stderr
        shutil.rmtree(source, ignore_errors=True)
    done = command("sample", f"--workdir={home}/run", "--num=3")
    assert done.returncode == 0, done.stderr


def test_train_refuses_a_stage_that_is_not_finished(command, workdir, tiny_flags):
    shutil.rmtree(workdir / "judge/checkpoints/20")
    other = workdir.parent / "other"
    taken = f"--config.train.judge.init_from={workdir}"
    done = command("train", *tiny_flags, taken, f"--workdir={other}")
    words = (
        "config.train.judge.init_from: stage 'judge' in .*run has 15 of 20 steps: fin"
    )
    assert_refused(done, words)
    assert not other.exists()


@pytest.mark.parametrize("name", ["train", "sample", "evaluate"])
@pytest.mark.parametrize("path", ["gs://bucket/run", "br[1]", "a*b"])
def test_workdir_that_cannot_be_stored_in_is_refused(
    command, tmp_path, tiny_flags, name, path
):
    given = tiny_flags if name == "train" else []
    done = command.run(
        f"regen_jax.{name}", *given, f"--workdir={path}", folder=tmp_path
    )
    assert_refused(done, "--workdir=")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flag", ["--out", "--audio", "--midi"])
def test_sample_refuses_a_url(command, trained, flag):
    done = command("sample", f"--workdir={trained}", f"{flag}=gs://bucket/a")
    assert_refused(done, f"{flag}=gs://bucket/a is a URL")


@pytest.mark.parametrize("name", ["train", "sample", "evaluate"])
def test_run_of_an_earlier_version_is_refused(command, workdir, tiny_flags, name):
    config = json.loads((workdir / "config.json").read_text())
    del config["format"]
    (workdir / "config.json").write_text(json.dumps(config))
    before = snapshot(workdir)
    given = tiny_flags if name == "train" else []
    done = command(name, *given, f"--workdir={workdir}")
    assert_refused(done, "is of format 1, which an earlier version")
    assert snapshot(workdir) == before


@pytest.mark.parametrize("name", ["sample", "evaluate"])
def test_a_config_that_lacks_sections(command, workdir, name):
    (workdir / "config.json").write_text('{"format": 3, "seed": 0}')
    done = command(name, f"--workdir={workdir}")
    assert_refused(done, "config.json cannot be read: it lacks task, data")
