"""Mistakes of users: each is an error of one line, before anything is written."""

import json
import re
import shutil

import pytest

from tests.cli.outcomes import assert_user_error, snapshot

BAD_FLAGS = {
    "unknown-section": (
        ["--config.priors.width=3"],
        ["'priors'", "it needs seed, task"],
    ),
    "unknown-option": (
        ["--config.prior.depth=3"],
        ["config.prior.depth is not an option of Autoregressive", "num_layers"],
    ),
    "unknown-name": (
        ["--config.prior.name=gan"],
        ["'gan'", "autoregressive, chunked, diffusion"],
    ),
    "wrong-type": (["--config.prior.width=wide"], ["config.prior.width", "wide"]),
    "section-for-a-value": (["--config.prior=gan"], ["prior"]),
    "value-out-of-range": (
        ["--config.train.prior.steps=0"],
        ["config.train.prior.steps must be at least 1, not 0"],
    ),
    "does-not-fit": (
        ["--config.prior.name=diffusion"],
        ["prior 'diffusion' generates Array", "gives Tokens", "'autoregressive'"],
    ),
    "unprepared-data": (
        ["--config.data.name=cifar10"],
        ["'cifar10' is not prepared", "python -m regen_jax.data.prepare cifar10"],
    ),
    "batch-larger-than-data": (
        ["--config.train.judge.batch_size=5000"],
        ["5000", "400"],
    ),
    "too-many-devices": (["--config.parallel.axes.data=2"], ["data 2", "there are 1"]),
    "unknown-flag": (["--wokdir=there"], ["wokdir"]),
    "stray-argument": (["runs/demo"], ["unknown argument 'runs/demo'"]),
    "no-value": (["--config.seed="], ["config.seed"]),
    "seed": (["--config.seed=-1"], ["config.seed must be an int from 0"]),
    "data-of-a-url": (
        ["--config.data.dir=gs://bucket/data"],
        ["config.data.dir=gs://bucket/data is a URL"],
    ),
    "stage-of-a-url": (
        ["--config.train.judge.init_from=s3://bucket/run"],
        ["config.train.judge.init_from=s3://bucket/run is a URL"],
    ),
    "stage-of-a-pattern": (
        ["--config.train.prior.init_from=runs/br[1]"],
        ["config.train.prior.init_from=.* has .* reads as a pattern"],
    ),
}


@pytest.mark.parametrize("flags, words", BAD_FLAGS.values(), ids=BAD_FLAGS)
def test_wrong_flag_of_train_prints_an_error(
    command, tmp_path, tiny_flags, flags, words
):
    done = command("train", *tiny_flags, f"--workdir={tmp_path}/run", *flags)
    assert_user_error(done, *words)
    assert list(tmp_path.iterdir()) == []


BAD_CONFIGS = {
    "missing": (None, ["no such file: .*config.py"]),
    "raises": ("import nowhere", ["--config: .*No module named 'nowhere'"]),
    "syntax": ("def get_config(:", ["--config: SyntaxError"]),
    "empty": ("", ["--config: .*get_config"]),
    "nothing": ("get_config = lambda: None", ["--config"]),
    "lacks": ("get_config = lambda: dict(seed=0)", ["config lacks .*'task'"]),
    "function": (
        "get_config = lambda: dict(seed=print)",
        ["config"],
    ),
}


@pytest.mark.parametrize("source, words", BAD_CONFIGS.values(), ids=BAD_CONFIGS)
def test_wrong_config_file_prints_an_error(command, tmp_path, source, words):
    config = tmp_path / "config.py"
    if source is not None:
        config.write_text(source)
    before = snapshot(tmp_path)
    done = command("train", f"--config={config}", f"--workdir={tmp_path}/run")
    assert_user_error(done, *words)
    written = snapshot(tmp_path).keys() - before.keys()
    assert all("__pycache__" in path.parts for path in written)  # By Python itself.


@pytest.mark.parametrize(
    "choices, words",
    [
        ("abstraction=dwt", "abstraction cannot be 'dwt': known are vq, fsq, rvq"),
        ("size=huge", "size cannot be 'huge': known are demo, base, tiny"),
        ("width=3", "no choice 'width': known are abstraction, prior, decoder, "),
        ("tiny", "no choice 'tiny'"),
    ],
)
def test_unknown_choice_of_a_config_prints_an_error(
    command, tmp_path, tiny_flags, choices, words
):
    config = tiny_flags[0].replace("size=tiny", choices)
    done = command("train", config, *tiny_flags[1:], f"--workdir={tmp_path}/run")
    assert_user_error(done, words)
    assert list(tmp_path.iterdir()) == []


def test_batch_that_devices_do_not_divide_prints_an_error(
    command, tmp_path, tiny_flags
):
    done = command(
        "train",
        *tiny_flags,
        f"--workdir={tmp_path}/run",
        XLA_FLAGS="--xla_force_host_platform_device_count=3",
    )
    words = (
        "config.train.judge.batch_size 16 does not divide .* 3 devices.* multiple of 3"
    )
    assert_user_error(done, words)
    assert list(tmp_path.iterdir()) == []


def test_workdir_of_another_config_prints_all_differences(command, workdir, tiny_flags):
    before = snapshot(workdir)
    changes = ["--config.seed=1", "--config.prior.width=32", "--config.prior.top_k=5"]
    done = command("train", *tiny_flags, *changes, f"--workdir={workdir}")
    assert_user_error(
        done,
        "config.seed is 0 there and 1 here",
        "config.prior.width is 16 there and 32 here",
        "config.prior.top_k is .*nothing.* there and 5 here",
    )
    assert snapshot(workdir) == before


@pytest.mark.parametrize("name", ["train", "sample", "evaluate"])
def test_missing_flag_prints_an_error(command, tmp_path, tiny_flags, name):
    given = tiny_flags if name == "train" else []
    assert_user_error(command(name, *given), "--workdir")
    if name == "train":
        assert_user_error(command(name, f"--workdir={tmp_path}/run"), "--config")


@pytest.mark.parametrize("name", ["train", "sample", "evaluate"])
def test_file_as_workdir_prints_an_error(command, tmp_path, tiny_flags, name):
    file = tmp_path / "file"
    file.write_text("mine")
    given = tiny_flags if name == "train" else []
    for path in (file, file / "below"):
        assert_user_error(command(name, *given, f"--workdir={path}"), str(path))
    assert file.read_text() == "mine"


@pytest.mark.parametrize("name", ["sample", "evaluate"])
def test_folder_without_run_prints_an_error(command, tmp_path, name):
    done = command(name, f"--workdir={tmp_path}/none")
    assert_user_error(
        done, "none holds no run: train one with python -m regen_jax.train"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["sample", "evaluate"])
def test_unfinished_run_prints_an_error(command, workdir, name):
    shutil.rmtree(workdir / "prior" / "checkpoints")
    shutil.rmtree(workdir / "abstraction" / "checkpoints" / "20")
    before = snapshot(workdir)
    done = command(name, f"--workdir={workdir}")
    words = "stage 'abstraction' .* has 15 of 20 steps: finish it with python -m"
    assert_user_error(done, words)
    shutil.copytree(
        workdir / "abstraction" / "checkpoints" / "15",
        workdir / "abstraction" / "checkpoints" / "20",
    )
    assert snapshot(workdir).keys() > before.keys()


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--num=0"], "num"),
        (["--num=few"], "num"),
        (["--seed=-1"], "seed"),
        (["--seed=4294967296"], "seed=4294967296: must be at most 2147483647"),
        (["--temperature=-1"], "temperature"),
        (["--temperature=nan"], "temperature=nan: must be finite"),
        (["--temperature=1e-40"], "must be 0 or at least 1.18e-38 in size"),
        (["--guidance=inf"], "guidance=inf: must be finite"),
        (["--guidance=much"], "guidance"),
        (["--config.seed=1"], "config.seed"),
        (["more"], "unknown argument 'more'"),
    ],
)
def test_wrong_flag_of_sample_prints_an_error(command, trained, flags, words):
    before = snapshot(trained)
    assert_user_error(command("sample", f"--workdir={trained}", *flags), words)
    assert snapshot(trained) == before


def test_out_that_cannot_be_written_prints_an_error(command, trained, tmp_path):
    before = snapshot(trained)
    (tmp_path / "file").write_text("mine")
    done = command(
        "sample", f"--workdir={trained}", f"--out={tmp_path}/file", "--num=2"
    )
    assert_user_error(done, f"--out={tmp_path}/file cannot be written")
    assert (tmp_path / "file").read_text() == "mine"
    assert snapshot(trained) == before


def test_metrics_that_cannot_be_written_print_an_error(command, workdir):
    (workdir / "metrics.json").mkdir()
    assert_user_error(command("evaluate", f"--workdir={workdir}"), "metrics.json")


def damage(checkpoint):
    files = [path for path in (checkpoint / "state").rglob("*") if path.is_file()]
    path = max(files, key=lambda path: path.stat().st_size)
    path.write_bytes(path.read_bytes()[:100])


def test_damaged_checkpoint_is_logged_and_trained_again(
    command, workdir, tiny_flags, trained
):
    damage(workdir / "prior" / "checkpoints" / "20")
    before = snapshot(workdir)
    done = command("sample", f"--workdir={workdir}")
    assert done.returncode == 2
    warning, error = done.stderr.splitlines()
    assert warning.startswith("checkpoint 20 of stage 'prior' is damaged (")
    assert error.startswith("error: stage 'prior'") and "has 15 of 20 steps" in error
    assert snapshot(workdir) == before

    # As it says, `train` finishes it again, and gives the same.
    done = command("train", *tiny_flags, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert (workdir / "prior" / "damaged" / "20").is_dir()
    metadata = "prior/checkpoints/20/metadata/metadata"
    again, first = (json.loads((d / metadata).read_text()) for d in (workdir, trained))
    assert again["fingerprint"] == first["fingerprint"]


def test_stage_without_a_whole_checkpoint_prints_an_error(command, workdir):
    for step in ("15", "20"):
        damage(workdir / "judge" / "checkpoints" / step)
    done = command("sample", f"--workdir={workdir}")
    assert done.returncode == 2
    *warnings, error = done.stderr.splitlines()
    assert len(warnings) == 2, done.stderr
    assert all("is damaged" in line for line in warnings)
    assert re.match("error: no checkpoint of stage 'judge' in .* can be read", error)
