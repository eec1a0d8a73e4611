"""Examples, prompts, metrics and pictures of frame prediction."""

import av
import numpy as np
import pytest

from regen_jax.data.readers.clips import VideoInfo
from regen_jax.errors import UserError
from regen_jax.interfaces import Generated
from regen_jax.spaces import Array
from regen_jax.tasks.frame_prediction import FramePrediction


@pytest.fixture(scope="module")
def task(clips_dir):
    return FramePrediction(dir=clips_dir, size=32, num_given=4, num_predicted=8)


def batch_of(task, number, split="test"):
    examples = task.prompts(number, split)
    return {key: np.stack([e[key] for e in examples]) for key in ("x", "y")}


def test_y_follows_x_in_the_video(task, clips_dir):
    assert task.x == Array((4, 32, 32, 3), 0, 255, step=1)
    assert task.y == Array((8, 32, 32, 3), 0, 255, step=1)
    # Videos of 20 frames: clips of 12 begin at 0, 4 and 8.
    assert len(task.examples("test")) == 3
    assert len(task.examples("train")) == 56 - 12 + 1
    whole = FramePrediction(dir=clips_dir, num_given=8, num_predicted=4)
    for example, other in zip(batch_clips(task), batch_clips(whole), strict=True):
        np.testing.assert_array_equal(example, other)


def batch_clips(task):
    batch = batch_of(task, 0)
    return np.concatenate([batch["x"], batch["y"]], axis=1)


def test_train_alone_is_flipped_and_zoomed_clips_overlap(clips_dir):
    options = {"dir": clips_dir, "zooms": (1, 2), "stride": 20}
    plain, flipped = (FramePrediction(**options, flips=f) for f in (False, True))
    assert len(flipped.examples("train")) == 4 * len(plain.examples("train"))
    assert len(flipped.examples("test")) == len(plain.examples("test"))
    # At twice the size 64 x 86, crops of 32 x 32 begin 16 apart, or do not overlap.
    assert len(plain.examples("train")) == 3 * (1 + 3 * 4)
    assert len(plain.examples("test")) == 3 * (1 + 2 * 2)


def test_real_clips_have_no_error(task):
    batch = batch_of(task, 0)
    metrics = task.sample_metrics({})(Generated(batch, batch["y"]))
    assert metrics == {"mse": 0, "ssim": pytest.approx(1)}


def test_metrics_are_of_all_clips_and_of_each_source(task):
    batch = batch_of(task, 0)
    y = np.where(batch["y"] < 250, batch["y"] + 5, batch["y"] - 5).astype(np.uint8)
    metrics = task.sample_metrics({})(Generated(batch, y))
    expected = 20 * np.log10(255 / 5)
    assert metrics["psnr"] == pytest.approx(expected)
    assert metrics["psnr_carphone"] == pytest.approx(expected)
    assert metrics["mse"] == pytest.approx((5 / 255) ** 2)
    assert 0.5 < metrics["ssim"] < 1


def test_values_per_clip_add_up_to_the_metrics(task):
    batch = batch_of(task, 0)
    y = np.roll(batch["y"], 1, axis=2)
    generated = Generated(batch, y)
    columns, metrics = (
        task.per_example({}, generated),
        task.sample_metrics({})(generated),
    )
    assert all(text.startswith("carphone ") for text in columns["clip"])
    assert len(set(columns["clip"])) == len(y)
    for name in ("mse", "ssim"):
        total, number = columns[name].sum(axis=0)
        assert total / number == pytest.approx(metrics[name])


def test_baselines_predict_from_x_alone(task):
    batch = batch_of(task, 2)
    rules = task.baselines
    assert set(rules) == {"copy", "linear"}
    for rule in rules.values():
        y = rule({"x": batch["x"]})
        assert y.shape == batch["y"].shape and y.dtype == np.uint8
    np.testing.assert_array_equal(rules["copy"](batch)[:, 3], batch["x"][:, -1])


def test_samples_are_rendered_from_the_given_frames_on(task):
    batch = batch_of(task, 2)
    media = task.render_samples(batch, batch["y"])
    assert media.videos["samples"].frames.shape[0] == 12
    assert media.videos["samples"].rate == 25
    frames = media.videos["samples"].frames
    cell = 32 * 2 * task.shown_scale
    # Captions change where the source ends.
    captions = frames[:, 6 + cell + 1 : 6 + cell + 17]
    assert not np.array_equal(captions[3], captions[4])
    for part in (captions[:4], captions[4:]):
        np.testing.assert_array_equal(part, np.repeat(part[:1], len(part), axis=0))
    alone = task.render_samples({"x": batch["x"]}, batch["y"])
    assert alone.images["samples"].shape[0] < media.images["samples"].shape[0]
    shown = task.render_reconstructions(batch["y"], batch["y"])
    assert shown.videos["reconstructions"].frames.shape[0] == 8


def write_video(path, num_frames, rate, size=(64, 48)):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv444p"
        stream.options = {"crf": "1"}
        for number in range(num_frames):
            pixels = np.full((*size[::-1], 3), 10 * number, np.uint8)
            picture = av.VideoFrame.from_ndarray(pixels)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return str(path)


@pytest.mark.parametrize("rate, expected", [(25, [0, 1, 2, 3]), (50, [0, 2, 4, 6])])
def test_prompt_is_the_first_frames_at_the_rate_of_the_task(
    task, tmp_path, rate, expected
):
    path = write_video(tmp_path / "clip.mp4", 10, rate)
    x = task.parse_prompt("video", path)["x"]
    assert x.shape == task.x.shape and x.dtype == np.uint8
    levels = x.mean(axis=(1, 2, 3)) / 10
    np.testing.assert_allclose(levels, expected, atol=0.2)


def test_prompt_of_a_gray_task_is_gray(tmp_path):
    info = {"channels": 1, "rate": 25.0}
    task = FramePrediction(size=32).with_info(info)
    path = write_video(tmp_path / "clip.mp4", 6, 25)
    assert task.parse_prompt("video", path)["x"].shape == (4, 32, 32, 1)


def test_unusable_prompts_raise_user_error(task, tmp_path):
    short = write_video(tmp_path / "short.mp4", 3, 25)
    with pytest.raises(UserError, match="has 3 frames at 25 frames/s: needed are 4"):
        task.parse_prompt("video", short)
    with pytest.raises(UserError, match="reads --video=FILE, not --text"):
        task.parse_prompt("text", "a clip")


def test_set_without_rate_raises_user_error(clips_dir, monkeypatch):
    monkeypatch.setattr(
        "regen_jax.tasks.frame_prediction.video_info",
        lambda *a: VideoInfo("video", 3, 0),
    )
    with pytest.raises(UserError, match=r"set config\.data\.rate"):
        _ = FramePrediction(dir=clips_dir).info
    assert FramePrediction(dir=clips_dir, rate=10.0).info["rate"] == 10


@pytest.mark.parametrize("rate", [1e-9, 1e9, float("nan")])
def test_rate_that_cannot_be_written_raises(clips_dir, monkeypatch, rate):
    with pytest.raises(ValueError, match="rate must be 0, or 0.01 to 1000|finite"):
        FramePrediction(rate=rate)
    monkeypatch.setattr(
        "regen_jax.tasks.frame_prediction.video_info",
        lambda *a: VideoInfo("video", 3, rate),
    )
    with pytest.raises(UserError, match="frames/s: 0.01 to 1000 can be written"):
        _ = FramePrediction(dir=clips_dir).info
    assert FramePrediction(dir=clips_dir, rate=0.01).info["rate"] == 0.01


def test_task_without_zooms_raises_value_error():
    with pytest.raises(ValueError, match="zooms must be one number or more"):
        FramePrediction(zooms=())
