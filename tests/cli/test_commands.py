import io
import json
import math
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from tensorboard.util import tensor_util

PARTS = ("judge", "abstraction", "prior")


@pytest.fixture
def workdir(trained, tmp_path):
    """A finished run of one's own."""
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture(scope="module")
def measured(trained, tmp_path_factory):
    """A finished run after `evaluate`, and what that printed."""
    workdir = shutil.copytree(trained, tmp_path_factory.mktemp("measured") / "run")
    return workdir, python("evaluate", f"--workdir={workdir}")


def python(name, *flags):
    """`python -m regen_jax.name`, as a user starts it."""
    done = subprocess.run(
        [sys.executable, "-m", f"regen_jax.{name}", *flags],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done


def events(folder):
    everything = {"scalars": 0, "images": 0, "tensors": 0}
    return EventAccumulator(str(folder), size_guidance=everything).Reload()


def samples(folder):
    with np.load(folder / "samples.npz") as file:
        return dict(file)


def snapshot(folder):
    return {
        path: (path.lstat().st_mtime_ns, path.lstat().st_size)
        for path in [folder, *folder.rglob("*")]
    }


def test_train_tells_what_it_did_and_what_comes_next(trained):
    lines = (trained.parent / "output").read_text().splitlines()
    for stage in PARTS:
        for step in range(1, 21):
            assert any(re.match(rf"{stage} {step}/20 loss \d", line) for line in lines)
        assert any(line.startswith(f"{stage} 20/20 held out: ") for line in lines)
        assert any(
            re.match(rf"stage {stage}: trained in \d+ s", line) for line in lines
        )
    assert lines[-1] == f"next: python -m regen_jax.sample --workdir={trained}"


def test_train_leaves_checkpoints_and_events(trained):
    assert json.loads((trained / "config.json").read_text())["task"] == "class_to_image"
    [event] = events(trained).Tensors("config/text_summary")
    text = tensor_util.make_ndarray(event.tensor_proto).item().decode()
    assert '"strategy": "sharded"' in text
    for stage in PARTS:
        saved = trained / stage / "checkpoints"
        assert {path.name for path in saved.iterdir()} == {"15", "20"}
        found = events(trained / stage)
        tags = found.Tags()["scalars"]
        for tag in ("loss", "grad_norm", "learning_rate", "step_seconds"):
            steps = [event.step for event in found.Scalars(f"train/{tag}")]
            assert steps == list(range(2 if tag == "step_seconds" else 1, 21))
        assert [event.step for event in found.Scalars(f"{stage}/loss")] == [20]
        assert all(math.isfinite(e.value) for tag in tags for e in found.Scalars(tag))


@pytest.mark.parametrize(
    "stage, tag", [("abstraction", "reconstructions"), ("prior", "samples")]
)
def test_train_shows_pictures(trained, stage, tag):
    [event] = events(trained / stage).Images(tag)
    picture = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
    assert event.step == 20
    assert picture.shape[0] > 56 and picture.shape[1] > 56 and np.ptp(picture) > 50


def test_train_again_trains_nothing(command, workdir, tiny_flags):
    before = snapshot(workdir)
    done = command("train", *tiny_flags, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == [
        *(f"stage {stage}" for stage in PARTS),
        "next",
    ]
    after = snapshot(workdir)
    assert {path for path in after if after[path] != before.get(path)} <= {
        workdir,
        *workdir.glob("events.*"),
    }


def test_sample_writes_arrays_and_a_picture(workdir):
    done = python("sample", f"--workdir={workdir}", "--num=25", "--seed=3")
    assert done.stderr == f"25 samples in {workdir}: samples.npz, samples.png\n"
    found = samples(workdir)
    assert set(found) == {"x", "y_prime", "y", "seed"}
    assert found["seed"] == 3
    np.testing.assert_array_equal(found["x"], np.arange(25) % 10)
    assert found["y_prime"].shape == (25, 49) and found["y_prime"].dtype == np.int32
    assert 0 <= found["y_prime"].min() and found["y_prime"].max() < 128
    assert found["y"].shape == (25, 28, 28, 1) and found["y"].dtype == np.uint8
    with Image.open(workdir / "samples.png") as picture:
        picture.load()
        assert picture.format == "PNG" and min(picture.size) > 2 * 28


def test_samples_are_a_function_of_seed_and_options(command, trained, tmp_path):
    def draw(*flags):
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}" / "deep"
        done = command("sample", f"--workdir={trained}", f"--out={out}", *flags)
        assert done.returncode == 0, done.stderr
        assert {path.name for path in out.iterdir()} == {"samples.npz", "samples.png"}
        return samples(out)

    before = snapshot(trained)
    first = draw("--num=12", "--seed=5")
    # The same examples, however many are drawn.
    for name, value in draw("--num=20", "--seed=5").items():
        np.testing.assert_array_equal(value[:12] if value.ndim else value, first[name])
    for flag in ("--seed=6", "--guidance=0"):
        other = draw("--num=12", "--seed=5", flag)
        assert np.mean(other["y_prime"] != first["y_prime"]) > 0.1
    greedy = [draw("--num=12", f"--seed={s}", "--temperature=0") for s in (5, 6)]
    np.testing.assert_array_equal(greedy[0]["y_prime"], greedy[1]["y_prime"])
    assert snapshot(trained) == before


def strict(path):
    """The object in a file of JSON, in which NaN and infinities are not."""

    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(path.read_text(), parse_constant=refuse)


def test_evaluate_writes_and_prints_every_metric(measured):
    workdir, done = measured
    figures = strict(workdir / "metrics.json")
    lines = dict(line.split() for line in done.stdout.splitlines())
    assert list(lines) == list(figures)
    for name, value in figures.items():
        assert re.fullmatch(r"[a-z]+/[a-z_]+", name)
        assert math.isfinite(value)
        assert float(lines[name]) == pytest.approx(value, rel=1e-3)
    few, written = done.stderr.splitlines()
    assert few.startswith(
        "samples on 20 of 500 examples that the core list of the test"
    )
    assert written == f"test split, 500 examples: written to {workdir}/metrics.json"
    assert set(figures) >= {
        "test/too_long",
        "samples/latency_seconds",
        "samples/throughput_per_second",
        "judge/accuracy",
        "abstraction/psnr",
        "abstraction/codebook_use",
        "prior/nll",
        "samples/accuracy",
        "samples/frechet",
        "samples/number",
        "real/accuracy",
        "real/frechet",
        "real/frechet_std",
    }
    costs = ("seconds", "steps", "flops", "parameters")
    assert set(figures) >= {f"train/{s}_{cost}" for s in PARTS for cost in costs}
    for cost in ("seconds", "flops", "parameters"):
        # The judge is no part of the pipeline.
        parts = [figures[f"train/{stage}_{cost}"] for stage in PARTS[1:]]
        assert figures[f"train/{cost}"] == pytest.approx(sum(parts)) and min(parts) > 0
    assert all(figures[f"train/{stage}_steps"] == 20 for stage in PARTS)


def test_evaluate_on_validation_equals_last_report_of_training(
    command, measured, tmp_path
):
    workdir, _ = measured
    before = (workdir / "metrics.json").read_bytes()
    done = command("evaluate", f"--workdir={workdir}", "--split=validation")
    assert done.returncode == 0, done.stderr
    assert (workdir / "metrics.json").read_bytes() == before
    figures = strict(workdir / "metrics_validation.json")
    assert "validation/too_long" in figures and "test/too_long" not in figures
    for stage in PARTS:
        found = events(workdir / stage)
        for tag in found.Tags()["scalars"]:
            if not tag.startswith("train/"):
                value = found.Scalars(tag)[-1].value
                assert figures[tag] == pytest.approx(value, rel=1e-4), tag


def test_evaluate_adds_a_row_to_the_hparams(measured):
    workdir, _ = measured
    found = events(workdir)
    content = found.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    hparams = metadata.parse_session_start_info_plugin_data(content).hparams
    assert hparams["prior.name"].string_value == "autoregressive"
    assert hparams["train.prior.steps"].number_value == 20
    figures = json.loads((workdir / "metrics.json").read_text())
    for tag, value in figures.items():
        event = found.Scalars(tag)[-1]
        assert event.value == pytest.approx(value, rel=1e-6)


def assert_refused(done, *words):
    """One line on stderr, and an exit status that is not 0."""
    assert done.returncode == 2, done
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done
    assert done.stdout == ""
    for word in words:
        assert re.search(word, done.stderr), done.stderr


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
        ["'gan'", "autoregressive, diffusion"],
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
        ["5000", "4000"],
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
def test_train_refuses_flags(command, tmp_path, tiny_flags, flags, words):
    done = command("train", *tiny_flags, f"--workdir={tmp_path}/run", *flags)
    assert_refused(done, *words)
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
def test_train_refuses_config_files(command, tmp_path, source, words):
    config = tmp_path / "config.py"
    if source is not None:
        config.write_text(source)
    before = snapshot(tmp_path)
    done = command("train", f"--config={config}", f"--workdir={tmp_path}/run")
    assert_refused(done, *words)
    assert snapshot(tmp_path).keys() - {tmp_path / "__pycache__"} <= before.keys()


@pytest.mark.parametrize(
    "choices, words",
    [
        ("abstraction=dwt", "abstraction cannot be 'dwt': known are vq, fsq, rvq"),
        ("size=huge", "size cannot be 'huge': known are demo, base, tiny"),
        ("width=3", "no choice 'width': known are abstraction, prior, decoder, size"),
        ("tiny", "no choice 'tiny'"),
    ],
)
def test_train_refuses_choices(command, tmp_path, tiny_flags, choices, words):
    config = tiny_flags[0].replace("size=tiny", choices)
    done = command("train", config, *tiny_flags[1:], f"--workdir={tmp_path}/run")
    assert_refused(done, words)
    assert list(tmp_path.iterdir()) == []


def test_train_refuses_batches_that_do_not_divide(command, tmp_path, tiny_flags):
    done = command(
        "train",
        *tiny_flags,
        f"--workdir={tmp_path}/run",
        XLA_FLAGS="--xla_force_host_platform_device_count=3",
    )
    words = (
        "config.train.judge.batch_size 16 does not divide .* 3 devices.* multiple of 3"
    )
    assert_refused(done, words)
    assert list(tmp_path.iterdir()) == []


def test_train_refuses_the_folder_of_another_run(command, workdir, tiny_flags):
    before = snapshot(workdir)
    changes = ["--config.seed=1", "--config.prior.width=32", "--config.prior.top_k=5"]
    done = command("train", *tiny_flags, *changes, f"--workdir={workdir}")
    assert_refused(
        done,
        "config.seed is 0 there and 1 here",
        "config.prior.width is 16 there and 32 here",
        "config.prior.top_k is .*nothing.* there and 5 here",
    )
    assert snapshot(workdir) == before


@pytest.mark.parametrize("name", ["train", "sample", "evaluate"])
def test_flags_that_are_needed(command, tmp_path, tiny_flags, name):
    given = tiny_flags if name == "train" else []
    assert_refused(command(name, *given), "--workdir")
    if name == "train":
        assert_refused(command(name, f"--workdir={tmp_path}/run"), "--config")


@pytest.mark.parametrize("name", ["train", "sample", "evaluate"])
def test_a_file_is_not_a_workdir(command, tmp_path, tiny_flags, name):
    file = tmp_path / "file"
    file.write_text("mine")
    given = tiny_flags if name == "train" else []
    for path in (file, file / "below"):
        assert_refused(command(name, *given, f"--workdir={path}"), str(path))
    assert file.read_text() == "mine"


@pytest.mark.parametrize("name", ["sample", "evaluate"])
def test_a_run_is_needed(command, tmp_path, name):
    done = command(name, f"--workdir={tmp_path}/none")
    assert_refused(done, "none holds no run: train one with python -m regen_jax.train")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["sample", "evaluate"])
def test_a_finished_run_is_needed(command, workdir, name):
    shutil.rmtree(workdir / "prior" / "checkpoints")
    shutil.rmtree(workdir / "abstraction" / "checkpoints" / "20")
    before = snapshot(workdir)
    done = command(name, f"--workdir={workdir}")
    words = "stage 'abstraction' .* has 15 of 20 steps: finish it with python -m"
    assert_refused(done, words)
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
def test_sample_refuses_flags(command, trained, flags, words):
    before = snapshot(trained)
    assert_refused(command("sample", f"--workdir={trained}", *flags), words)
    assert snapshot(trained) == before


def test_sample_refuses_a_place_it_cannot_write(command, trained, tmp_path):
    before = snapshot(trained)
    (tmp_path / "file").write_text("mine")
    done = command(
        "sample", f"--workdir={trained}", f"--out={tmp_path}/file", "--num=2"
    )
    assert_refused(done, f"--out={tmp_path}/file cannot be written")
    assert (tmp_path / "file").read_text() == "mine"
    assert snapshot(trained) == before


def test_evaluate_tells_a_file_it_cannot_write(command, workdir):
    (workdir / "metrics.json").mkdir()
    assert_refused(command("evaluate", f"--workdir={workdir}"), "metrics.json")


def damage(checkpoint):
    files = [path for path in (checkpoint / "state").rglob("*") if path.is_file()]
    path = max(files, key=lambda path: path.stat().st_size)
    path.write_bytes(path.read_bytes()[:100])


def test_damaged_checkpoint_is_logged(command, workdir, tiny_flags, trained):
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


def test_nothing_but_damaged_checkpoints(command, workdir):
    for step in ("15", "20"):
        damage(workdir / "judge" / "checkpoints" / step)
    done = command("sample", f"--workdir={workdir}")
    assert done.returncode == 2
    *warnings, error = done.stderr.splitlines()
    assert len(warnings) == 2, done.stderr
    assert all("is damaged" in line for line in warnings)
    assert re.match("error: no checkpoint of stage 'judge' in .* can be read", error)
