"""Folders in flags: a wrong one is an error of one line, and nothing is written."""

import json
import shutil

import pytest

from tests.cli.outcomes import assert_user_error, snapshot

PARTS = ("judge", "abstraction", "prior")


def test_init_from_needs_the_source_run_until_copied_and_never_its_data(
    command, trained, without_data, tmp_path, tiny_flags
):
    home, source = tmp_path, without_data(trained)
    taken = [f"--config.train.{s}.init_from=~/{source.name}" for s in PARTS]
    command_line = *tiny_flags, *taken, "--workdir=~/run"
    for _ in range(2):
        done = command("train", *command_line, HOME=str(home))
        assert done.returncode == 0, done.stderr
        assert "1/20" not in done.stderr
        shutil.rmtree(source, ignore_errors=True)
    done = command("sample", f"--workdir={home}/run", "--num=3")
    assert done.returncode == 0, done.stderr


def test_train_from_an_unfinished_stage_prints_an_error(command, workdir, tiny_flags):
    shutil.rmtree(workdir / "judge/checkpoints/20")
    other = workdir.parent / "other"
    taken = f"--config.train.judge.init_from={workdir}"
    done = command("train", *tiny_flags, taken, f"--workdir={other}")
    words = (
        "config.train.judge.init_from: stage 'judge' in .*run has 15 of 20 steps: fin"
    )
    assert_user_error(done, words)
    assert not other.exists()


@pytest.mark.parametrize("name", ["train", "sample", "evaluate"])
@pytest.mark.parametrize("path", ["gs://bucket/run", "br[1]", "a*b"])
def test_workdir_that_is_no_folder_name_prints_an_error(
    command, tmp_path, tiny_flags, name, path
):
    given = tiny_flags if name == "train" else []
    done = command.run(
        f"regen_jax.{name}", *given, f"--workdir={path}", folder=tmp_path
    )
    assert_user_error(done, "--workdir=")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flag", ["--out", "--audio", "--midi"])
def test_sample_with_a_url_prints_an_error(command, trained, flag):
    done = command("sample", f"--workdir={trained}", f"{flag}=gs://bucket/a")
    assert_user_error(done, f"{flag}=gs://bucket/a is a URL")


def test_sample_with_an_empty_folder_prints_an_error(command, workdir):
    before = snapshot(workdir)
    done = command("sample", f"--workdir={workdir}", "--out=")
    assert_user_error(done, "--out")
    assert snapshot(workdir) == before


@pytest.mark.parametrize("name", ["train", "sample", "evaluate"])
def test_run_of_an_earlier_version_prints_an_error(command, workdir, tiny_flags, name):
    config = json.loads((workdir / "config.json").read_text())
    del config["format"]
    (workdir / "config.json").write_text(json.dumps(config))
    before = snapshot(workdir)
    given = tiny_flags if name == "train" else []
    done = command(name, *given, f"--workdir={workdir}")
    assert_user_error(done, "is of format 1, which an earlier version")
    assert snapshot(workdir) == before


@pytest.mark.parametrize("name", ["sample", "evaluate"])
def test_run_whose_config_lacks_sections_prints_an_error(command, workdir, name):
    (workdir / "config.json").write_text('{"format": 3, "seed": 0}')
    done = command(name, f"--workdir={workdir}")
    assert_user_error(done, "config.json cannot be read: it lacks task, data")
