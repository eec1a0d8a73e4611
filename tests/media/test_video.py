import io
import sys

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from regen_jax.media.media import Media
from regen_jax.media.tensorboard import SummaryWriter
from regen_jax.media.video import Video, encode_gif, film_strip, video_grid, write_mp4

RATE = 8000


def moving_square(num_frames=6, height=15, width=18):
    frames = np.zeros((num_frames, height, width, 3), np.uint8)
    for index in range(num_frames):
        frames[index, 4:10, 2 * index : 2 * index + 6] = 255, 160, 40
    return frames


def tone(seconds):
    times = np.arange(round(seconds * RATE)) / RATE
    return 0.5 * np.sin(2 * np.pi * 440 * times).astype(np.float32)


def durations(gif):
    with Image.open(io.BytesIO(gif)) as image:
        return [frame.info["duration"] for frame in ImageSequence.Iterator(image)]


def test_gif_holds_frames_and_repeats():
    frames = moving_square()
    with Image.open(io.BytesIO(encode_gif(Video(frames, 25)))) as image:
        assert image.info["loop"] == 0
        read = [np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(image)]
    np.testing.assert_array_equal(np.stack(read), frames)


def test_gif_durations_sum_to_length_of_video():
    frames = moving_square()
    assert durations(encode_gif(Video(frames, 25))) == [40] * 6
    assert sum(durations(encode_gif(Video(frames, 16)))) == 380  # 375, in steps of 10


def test_gif_of_equal_frames_has_length_of_video():
    still = np.repeat(moving_square(1), 5, axis=0)
    assert sum(durations(encode_gif(Video(still, 10)))) == 500


def test_mp4_holds_frames_times_and_sound(tmp_path):
    frames = moving_square()
    video = Video(frames, 12.5, tone(0.48), RATE)
    write_mp4(tmp_path / "a.mp4", video)
    with av.open(str(tmp_path / "a.mp4")) as container:
        read = list(container.decode(video=0))
    assert [float(f.time) for f in read] == pytest.approx(np.arange(6) / 12.5, abs=1e-3)
    images = np.stack([f.to_ndarray(format="rgb24") for f in read])
    assert images.shape == (6, 16, 18, 3)  # H.264 needs even sizes
    # Half of the rows and columns of colors are stored.
    assert np.abs(images[:, :15].mean(-1) - frames.mean(-1)).mean() < 12
    with av.open(str(tmp_path / "a.mp4")) as container:
        parts = [f.to_ndarray()[0] for f in container.decode(audio=0)]
    sound = np.concatenate(parts)
    spectrum = np.abs(np.fft.rfft(sound[1024:3072]))
    assert np.argmax(spectrum) * RATE / 2048 == pytest.approx(440, abs=4)
    assert len(sound) == pytest.approx(0.48 * RATE, abs=2048)


def test_full_disk_leaves_former_mp4_whole(tmp_path, full_disk):
    path, noise = tmp_path / "a.mp4", np.random.default_rng(0)
    write_mp4(path, Video(moving_square(), 25))
    former = path.read_bytes()
    frames = noise.integers(256, size=(12, 64, 64, 3), dtype=np.uint8)
    with full_disk(3000), pytest.raises(OSError):
        write_mp4(path, Video(frames, 25))
    assert path.read_bytes() == former and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "rate, nearest", [(1000, 7350), (12345, 12000), (10**6, 96000)]
)
def test_sound_at_a_rate_that_aac_lacks_is_resampled(tmp_path, rate, nearest):
    times = np.arange(rate) / rate
    wave = np.sin(2 * np.pi * 300 * times).astype(np.float32)
    write_mp4(tmp_path / "a.mp4", Video(moving_square(25), 25, wave, rate))
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.audio[0].sample_rate == nearest
        sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    assert len(sound) == pytest.approx(nearest, abs=2048)
    middle = sound[nearest // 4 : nearest // 4 + nearest // 2]
    spectrum = np.abs(np.fft.rfft(middle))
    assert 2 * np.argmax(spectrum) == pytest.approx(300, abs=4)


def test_media_without_pyav_saves_gif_alone(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "av", None)
    paths = Media(videos={"clip": Video(moving_square(), 25)}).save(tmp_path)
    assert [path.name for path in paths] == ["clip.gif"]
    assert "needs the package av" in caplog.text


def test_media_saves_gif_and_mp4(tmp_path):
    media = Media().update(Media(videos={"clip": Video(moving_square(), 25)}))
    assert [p.name for p in media.save(tmp_path)] == ["clip.gif", "clip.mp4"]


def test_tensorboard_shows_an_animated_gif(tmp_path):
    video = Video(moving_square(), 25)
    with SummaryWriter(tmp_path) as writer:
        writer.write_media(3, Media(videos={"samples/digits": video}))
    events = EventAccumulator(str(tmp_path)).Reload()
    (event,) = events.Images("samples/digits_clip")
    assert (event.step, event.height, event.width) == (3, 15, 18)
    assert event.encoded_image_string == encode_gif(video)


def test_image_and_video_of_one_name_have_two_tags(tmp_path):
    frames = moving_square()
    media = Media({"samples": frames[0]}, videos={"samples": Video(frames, 25)})
    with SummaryWriter(tmp_path) as writer:
        writer.write_media(3, media)
    events = EventAccumulator(str(tmp_path)).Reload()
    assert sorted(events.Tags()["images"]) == ["samples", "samples_clip"]
    assert all(len(events.Images(tag)) == 1 for tag in ("samples", "samples_clip"))


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (4, 8, 8, 1), (8, 8, 3)])
def test_video_of_other_shape_raises_value_error(shape):
    with pytest.raises(ValueError, match="a video needs"):
        Video(np.zeros(shape, np.uint8), 25)


def test_grid_runs_clips_beside_one_another():
    clips = np.stack([moving_square(), 255 - moving_square()])
    grid = video_grid(clips, 2, captions=["one", "two"], scale=1)
    assert grid.shape[0] == 6 and grid.shape[3] == 3
    for index, frame in enumerate(grid):
        np.testing.assert_array_equal(frame[6:21, 6:24], clips[0, index])
        np.testing.assert_array_equal(frame[6:21, 30:48], clips[1, index])
    gray = video_grid(clips[..., :1], 1, scale=1)
    assert gray.shape[3] == 3


def test_film_strip_shows_first_and_last_frame():
    clips = np.stack([moving_square(), 255 - moving_square()])
    strip = film_strip(clips, 3, scale=1)
    np.testing.assert_array_equal(strip[4:19, 4:22], clips[0, 0])
    np.testing.assert_array_equal(strip[23:38, 48:66], clips[1, 5])
    assert film_strip(clips, 99, scale=1).shape == film_strip(clips, 6, scale=1).shape


def test_film_strip_names_the_columns_of_source_frames():
    clips = np.repeat(moving_square(6, 40, 48)[None], 2, axis=0)
    plain, marked = (film_strip(clips, 3, scale=1, num_source=n) for n in (0, 3))
    above = len(marked) - len(plain)
    np.testing.assert_array_equal(marked[above + 3 :], plain[3:])
    # Of frames 0, 2 and 5.
    ink = [(marked[:above, x : x + 48] != 255).any() for x in (4, 56, 108)]
    assert ink == [True, True, False]
