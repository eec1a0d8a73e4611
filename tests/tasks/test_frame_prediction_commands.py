"""Frame prediction from its config to metrics and files, and what bad input gets."""

import json
import math

import av
import numpy as np
import pytest
from PIL import Image

from regen_jax.cli.evaluate_run import evaluate_run
from regen_jax.cli.sample_run import sample_run, save_samples
from regen_jax.errors import UserError


@pytest.fixture(scope="module")
def workdir(clips_dir, train_config, tmp_path_factory):
    """A run of two steps."""
    flags = "--config.data.zooms=(1,)", "--config.train.prior.steps=2"
    folder = tmp_path_factory.mktemp("frames") / "run"
    return train_config("real_clips.py:size=tiny", clips_dir, folder, *flags)


def test_metrics_stand_beside_those_of_rules(workdir):
    _, failed = evaluate_run(workdir)
    assert not failed
    metrics = json.loads((workdir / "metrics.json").read_text())
    sources = ("samples/", "baseline/copy_", "baseline/linear_")
    for source in sources:
        for name in ("psnr", "ssim", "psnr_carphone"):
            assert math.isfinite(metrics[source + name])
    # Two steps from copying.
    assert metrics["samples/psnr"] == pytest.approx(
        metrics["baseline/copy_psnr"], abs=3
    )
    assert "real/psnr" not in metrics


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(8):
            pixels = np.full((48, 64, 3), 20 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        container.mux(stream.encode(None))
    return path


def test_frames_of_a_file_are_continued_without_the_data(
    workdir, without_data, video, tmp_path
):
    samples = sample_run(without_data(workdir), prompts=[("video", str(video))] * 2)
    save_samples(samples, tmp_path, seed=0)
    with np.load(tmp_path / "samples.npz") as saved:
        assert saved["x"].shape == (2, 4, 32, 32, 3)
        assert saved["y"].shape == (2, 8, 32, 32, 3) and saved["y"].dtype == np.uint8
    with Image.open(tmp_path / "samples.gif") as animation:
        assert animation.n_frames >= 4  # Equal frames are one.
    assert (tmp_path / "samples.mp4").exists() and (tmp_path / "samples.png").exists()


@pytest.mark.parametrize(
    "kind, content, words",
    [
        ("video", b"no video", "damaged or of an unknown format"),
        ("video", b"", "is empty"),
        ("text", None, "reads --video=FILE, not --text"),
    ],
)
def test_bad_prompt_is_one_line(workdir, tmp_path, kind, content, words):
    path = tmp_path / "file.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        sample_run(workdir, prompts=[(kind, str(path))])
    assert "\n" not in str(caught.value)
