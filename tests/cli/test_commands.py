import io
import json
import math
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from tensorboard.util import tensor_util

from regen_jax.cli.sample_run import sample_run
from tests.cli.outcomes import snapshot

PARTS = ("judge", "abstraction", "prior")


def events(folder):
    everything = {"scalars": 0, "images": 0, "tensors": 0}
    return EventAccumulator(str(folder), size_guidance=everything).Reload()


def samples(folder):
    with np.load(folder / "samples.npz") as file:
        return dict(file)


def test_train_logs_its_time_and_the_next_command(trained):
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
def test_train_logs_images(trained, stage, tag):
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


def test_sample_writes_arrays_and_an_image(workdir):
    flags = [f"--workdir={workdir}", "--num=25", "--seed=3"]
    done = subprocess.run(
        [sys.executable, "-m", "regen_jax.sample", *flags],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
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
    def draw(num, seed, **options):
        return sample_run(trained, num, seed, options=options)

    before = snapshot(trained)
    first = draw(12, 5)
    # The same examples, however many are drawn.
    more = draw(20, 5)
    for name in ("x", "y_prime", "y"):
        np.testing.assert_array_equal(getattr(more, name)[:12], getattr(first, name))
    free = draw(12, 5, guidance=0.0)
    for other in (draw(12, 6), free):
        assert np.mean(other.y_prime != first.y_prime) > 0.1
    greedy = [draw(12, seed, temperature=0.0).y_prime for seed in (5, 6)]
    np.testing.assert_array_equal(*greedy)

    out = tmp_path / "new" / "deep"
    flags = ["--num=12", "--seed=5", "--guidance=0", f"--out={out}"]
    done = command("sample", f"--workdir={trained}", *flags)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in out.iterdir()} == {"samples.npz", "samples.png"}
    np.testing.assert_array_equal(samples(out)["y_prime"], free.y_prime)
    assert snapshot(trained) == before


def test_run_whose_data_are_gone_gives_the_same_samples(
    command, trained, without_data, tmp_path
):
    drawn = []
    for workdir in (trained, without_data(trained)):
        out = tmp_path / workdir.parent.name
        done = command("sample", f"--workdir={workdir}", f"--out={out}", "--num=12")
        assert done.returncode == 0, done.stderr
        drawn.append(samples(out))
    for name, value in drawn[0].items():
        np.testing.assert_array_equal(drawn[1][name], value)


def strict(path):
    """Reads a file of strict JSON, which has no NaN and no infinities."""

    def fail(constant):
        raise AssertionError(constant)

    return json.loads(path.read_text(), parse_constant=fail)


def test_evaluate_writes_and_prints_every_metric(evaluated):
    metrics = strict(evaluated / "metrics.json")
    printed = (evaluated.parent / "stdout").read_text()
    lines = dict(line.split() for line in printed.splitlines())
    assert list(lines) == list(metrics)
    for name, value in metrics.items():
        assert re.fullmatch(r"[a-z_]+/[a-z_]+", name)
        assert math.isfinite(value)
        assert float(lines[name]) == pytest.approx(value, rel=1e-3)
    few, written = (evaluated.parent / "stderr").read_text().splitlines()
    assert few.startswith(
        "drew 20 samples, of 50 examples in the core list of the test"
    )
    assert written == f"test split, 50 examples: written to {evaluated}/metrics.json"
    assert set(metrics) >= {
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
        "samples/frechet_std",
        "real/frechet_std",
    }
    # 7 × 7 codes of 128, and nats per code.
    assert metrics["abstraction/bits"] == 49 * 7
    assert metrics["samples/prior_calls"] == 49
    bits = 49 * metrics["prior/nll"] / math.log(2)
    assert metrics["prior/bits"] == pytest.approx(bits)
    costs = ("seconds", "steps", "flops", "parameters")
    assert set(metrics) >= {f"train/{s}_{cost}" for s in PARTS for cost in costs}
    for cost in ("seconds", "flops", "parameters"):
        # The judge is no part of the pipeline.
        parts = [metrics[f"train/{stage}_{cost}"] for stage in PARTS[1:]]
        assert metrics[f"train/{cost}"] == pytest.approx(sum(parts)) and min(parts) > 0
    assert all(metrics[f"train/{stage}_steps"] == 20 for stage in PARTS)


def test_evaluate_on_validation_equals_last_report_of_training(evaluated):
    before = (evaluated.parent / "metrics.json").read_bytes()
    assert (evaluated / "metrics.json").read_bytes() == before
    metrics = strict(evaluated / "metrics_validation.json")
    assert "validation/too_long" in metrics and "test/too_long" not in metrics
    for stage in PARTS:
        found = events(evaluated / stage)
        for tag in found.Tags()["scalars"]:
            if not tag.startswith("train/"):
                value = found.Scalars(tag)[-1].value
                assert metrics[tag] == pytest.approx(value, rel=1e-4), tag


def test_evaluate_adds_a_row_to_the_hparams(evaluated):
    found = events(evaluated)
    content = found.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    hparams = metadata.parse_session_start_info_plugin_data(content).hparams
    assert hparams["prior.name"].string_value == "autoregressive"
    assert hparams["train.prior.steps"].number_value == 20
    metrics = json.loads((evaluated / "metrics.json").read_text())
    for tag, value in metrics.items():
        event = found.Scalars(tag)[-1]
        assert event.value == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("name", ["train", "sample", "evaluate"])
def test_help_of_a_command_lists_its_folder(command, name):
    assert "--workdir: folder of the run" in command(name, "--help").stdout
