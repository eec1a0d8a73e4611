import numpy as np
import pytest
from PIL import Image

from regen_jax.data.pipeline import stack
from regen_jax.errors import UserError
from regen_jax.interfaces import Generated
from regen_jax.spaces import Padded
from regen_jax.tasks.talking_head import TalkingHead


@pytest.fixture(scope="module")
def task(faces_dir):
    return TalkingHead(dir=faces_dir, max_seconds=3.0, judge_width=8)


@pytest.fixture(scope="module")
def batch(task):
    return stack([{k: e[k] for k in ("x", "y")} for e in task.prompts(0)])


@pytest.fixture(scope="module")
def variables(task, batch):
    import jax

    judge = task.judges["judge"]
    return {"judge": judge.init(jax.random.key(0), batch["x"], batch["y"])}


def metrics_of(task, variables, batch, values):
    y = Padded(values, batch["y"].length)
    return task.sample_metrics(variables)(Generated(batch, y))


def test_real_clips_follow_the_true_tracks(task, variables, batch):
    metrics = metrics_of(task, variables, batch, batch["y"].values)
    assert metrics["mouth_correlation"] > 0.97
    assert metrics["mouth_lag_ms"] < 4 and metrics["mouth_lag_clip_ms"] < 8
    assert "psnr" not in metrics


def test_late_frames_have_their_lag(task, variables, batch):
    late = np.roll(batch["y"].values, 2, axis=1)
    metrics = metrics_of(task, variables, batch, late)
    assert metrics["mouth_lag_ms"] == pytest.approx(80, abs=8)
    assert metrics["mouth_correlation"] < 0.8 and metrics["psnr"] > 10


def test_clips_with_a_shut_mouth_count_as_correlation_zero(task, variables, batch):
    values = batch["y"].values.copy()
    values[0] = values[0, 0]  # The first frame stays.
    y = Padded(values, batch["y"].length)
    metrics = metrics_of(task, variables, batch, values)
    assert metrics["mouth_correlation"] == pytest.approx(0.75, abs=0.02)
    results = task.per_example(variables, Generated(batch, y))["mouth_correlation"]
    np.testing.assert_array_equal(results[0], [0, 1])
    assert results[:, 0].mean() == pytest.approx(metrics["mouth_correlation"])


def test_face_of_another_clip_has_another_identity(task, variables, batch):
    metrics = metrics_of(task, variables, batch, batch["y"].values[::-1])
    assert metrics["identity_accuracy"] < 0.5


def test_results_per_example_have_texts_and_correlations(task, variables, batch):
    results = task.per_example(variables, Generated(batch, batch["y"]))
    assert results["text"][0] == task.examples("test")[0]["text"]
    assert results["mouth_correlation"].shape == (4, 2)
    assert results["mouth_correlation"][:, 0].min() > 0.9


def test_reconstructions_have_psnr_and_correlation(task, batch):
    brighter = np.clip(batch["y"].values.astype(int) + 5, 0, 255).astype(np.uint8)
    other = Padded(brighter, batch["y"].length)
    metrics = task.reconstruction_metrics(batch["y"], other)
    assert metrics["psnr"] > 34 and metrics["mouth_correlation"] > 0.9


def test_media_are_videos_with_sound_frames_and_curves(task, batch):
    media = task.render_samples(batch, batch["y"])
    assert sorted(media.videos) == [f"sample_{i}" for i in range(4)]
    video, length = media.videos["sample_0"], batch["y"].length[0]
    assert video.frames.shape[0] == length and video.rate == 25
    assert len(video.sound) == length * 640 and video.sample_rate == 16_000
    faces = [f"sample_{i}_face" for i in range(4)]
    assert sorted(media.images) == [*faces, "sample_frames", "sample_mouth"]


def test_media_have_prompts_sentences_and_credit(task, batch, tmp_path):
    media = task.render_samples(batch, batch["y"])
    media.videos.clear()
    media.save(tmp_path)
    face, speech = (
        task.parse_prompt(kind, str(tmp_path / f"sample_1_{name}"))["x"]
        for kind, name in (("image", "face.png"), ("audio", "speech.wav"))
    )
    np.testing.assert_array_equal(face["picture"], batch["x"]["picture"][1])
    expected = batch["x"]["speech"]
    assert speech["speech"].length == expected.length[1]
    np.testing.assert_allclose(
        speech["speech"].values, expected.values[1], atol=1 / 2**15
    )
    text = (tmp_path / "samples.md").read_text()
    assert f"| 1 | {task.examples('test')[1]['text']} |" in text
    assert "they are no person's" in text
    alone = task.render_samples({"x": batch["x"]}, batch["y"]).texts["samples"]
    assert alone.startswith("Faces are drawn")


def test_speed_is_per_second_of_video(task, batch):
    seconds = batch["y"].length.sum() / 25
    factor = task.speed_metrics(batch["y"], 2.0)["real_time_factor"]
    assert factor == pytest.approx(2 / seconds)


def test_unknown_kind_of_prompt_raises_user_error(task):
    with pytest.raises(UserError, match="--audio=FILE and --image=FILE, not --text"):
        task.parse_prompt("text", "hello")


def test_picture_of_something_else_raises_user_error(task, tmp_path):
    noise = np.random.RandomState(0).randint(0, 256, (96, 96, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "street.png")
    with pytest.raises(UserError, match="is not a face that the renderer draws"):
        task.parse_prompt("image", str(tmp_path / "street.png"))


def test_clips_of_unknown_faces_have_no_true_track(task, variables, batch):
    unknown = batch["x"]["picture"].copy()
    unknown[:, 0, 0] ^= 1
    prompts = {"x": batch["x"] | {"picture": unknown}}
    metrics = task.sample_metrics(variables)(Generated(prompts, batch["y"]))
    assert sorted(metrics) == ["identity_accuracy", "identity_cosine"]
