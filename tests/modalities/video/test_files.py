"""Video files of all kinds, written by PyAV for these tests."""

import logging
import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from regen_jax.errors import UserError
from regen_jax.modalities.video import files

HEIGHT, WIDTH = 32, 48


def frame(number):
    """Gray of the number of the frame, with a white corner at top left."""
    pixels = np.full((HEIGHT, WIDTH, 3), 20 * number, np.uint8)
    pixels[:12, :12] = 255
    return pixels


def write(
    path,
    times,
    *,
    rate=10,
    codec="libx264",
    pixel_format="yuv444p",
    size=(WIDTH, HEIGHT),
    rotation=0,
    aspect=None,
    sound=False,
):
    """Writes a frame at each time, in units of a thousandth of a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        stream.time_base = Fraction(1, 1000)
        if codec == "libx264":
            stream.options = {"crf": "1", "bf": "0"}
        if aspect:
            stream.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        audio = container.add_stream("aac", rate=8000, layout="mono") if sound else None
        for number, time in enumerate(times):
            picture = av.VideoFrame.from_ndarray(frame(number))
            if size != (WIDTH, HEIGHT):
                picture = picture.reformat(*size)
            picture.pts, picture.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        if audio:
            wave = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            wave.sample_rate = 8000
            container.mux(audio.encode(wave))
            container.mux(audio.encode(None))
    return path


def numbers(clip):
    """The number of the frame that each frame of a clip is."""
    gray = clip.frames[:, -4:, -4:].mean(axis=(1, 2, 3))
    return np.rint(gray / 20).astype(int).tolist()


STEADY = range(0, 600, 100)


@pytest.mark.parametrize("sound", [False, True])
def test_frames_and_rate_are_those_written(tmp_path, sound):
    clip = files.read(write(tmp_path / "clip.mp4", STEADY, sound=sound))
    assert clip.frames.shape == (6, HEIGHT, WIDTH, 3) and clip.frames.dtype == np.uint8
    assert clip.rate == pytest.approx(10)
    for number, pixels in enumerate(clip.frames):
        np.testing.assert_allclose(pixels, frame(number).astype(float), atol=12)


@pytest.mark.parametrize("angle", [90, 180, -90])
def test_rotation_of_the_file_is_applied(tmp_path, angle, caplog):
    path = write(tmp_path / "clip.mp4", STEADY, rotation=angle)
    with caplog.at_level(logging.INFO, "regen_jax"):
        clip = files.read(path)
    # `set_display_rotation` turns counterclockwise, as `rot90` does.
    expected = np.rot90(frame(2), angle // 90)
    np.testing.assert_allclose(clip.frames[2], expected.astype(float), atol=12)
    assert f"turned by {angle % 360} degrees" in caplog.text


def with_matrix(path, *values):
    """Writes the display matrix ((a, b), (c, d)) into the header of an MP4 file."""
    data = bytearray(path.read_bytes())
    # Of version 0: the matrix is 44 bytes after the name of the box.
    start = data.index(b"tkhd") + 44
    a, b, c, d = (round(value * 2**16) for value in values)
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 2**30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "matrix, expected, words",
    [
        ((-1, 0, 0, 1), lambda x: x[:, ::-1], "flipped left to right, turned by 0 d"),
        ((1, 0, 0, -1), lambda x: x[::-1], "flipped left to right, turned by 180 d"),
        ((0, 1, 1, 0), lambda x: x.swapaxes(0, 1), "right, turned by 90 d"),
        ((0, -1, -1, 0), lambda x: x[::-1, ::-1].swapaxes(0, 1), "turned by 270 d"),
        ((0, 2, -2, 0), lambda x: np.rot90(x, -1), ": turned by 270 d"),
        ((0, 0, 0, 0), lambda x: x, ""),
    ],
)
def test_display_matrix_flips_and_turns(tmp_path, caplog, matrix, expected, words):
    path = with_matrix(write(tmp_path / "clip.mp4", STEADY), *matrix)
    with caplog.at_level(logging.INFO, "regen_jax"):
        clip = files.read(path)
    np.testing.assert_allclose(clip.frames[2], expected(frame(2)) * 1.0, atol=12)
    assert words in caplog.text and bool(words) == ("turned" in caplog.text)


def test_other_angle_raises_user_error(tmp_path):
    path = write(tmp_path / "clip.mp4", STEADY)
    with_matrix(path, 0.7071, 0.7071, -0.7071, 0.7071)
    assert "multiples of 90 degrees and flips can be read" in error_of(path)


@pytest.mark.parametrize(
    "codec, pixel_format, suffix",
    [
        ("libx264", "yuv422p10le", "mp4"),
        ("ffv1", "bgr0", "mkv"),
        ("ffv1", "gray16le", "mkv"),
        ("ffv1", "yuv410p", "mkv"),
        ("png", "rgba", "mov"),
    ],
)
def test_pixel_formats_are_converted_to_rgb(tmp_path, codec, pixel_format, suffix):
    path = tmp_path / f"clip.{suffix}"
    clip = files.read(write(path, STEADY, codec=codec, pixel_format=pixel_format))
    assert clip.frames.shape[-1] == 3
    assert numbers(clip) == [0, 1, 2, 3, 4, 5]


def test_variable_rate_becomes_constant_by_the_frames_shown(tmp_path, caplog):
    path = write(tmp_path / "clip.mkv", [0, 100, 200, 600, 700, 1000])
    with caplog.at_level(logging.INFO, "regen_jax"):
        clip = files.read(path, rate=10)
    assert clip.rate == 10
    assert numbers(clip)[:11] == [0, 1, 2, 2, 2, 2, 3, 4, 4, 4, 5]
    assert "variable rate" in caplog.text and "converted to 10 frames/s" in caplog.text
    # Without a rate it is the average: five frames from 0 to 1 s, and the last.
    assert files.read(path).rate == pytest.approx(5)


@pytest.mark.parametrize(
    "rate, expected", [(5, [0, 2, 4]), (20, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])]
)
def test_another_rate_repeats_or_drops_frames(tmp_path, rate, expected):
    clip = files.read(write(tmp_path / "clip.mp4", STEADY), rate=rate)
    assert clip.rate == rate and numbers(clip) == expected


def test_first_frames_before_a_jump_of_the_times_need_no_others(tmp_path):
    """All frames at that rate would be 10 million."""
    path = write(tmp_path / "clip.mkv", [0, 100, 200, 10**9, 10**9 + 100])
    clip = files.read(path, rate=10, num_frames=4)
    assert clip.rate == 10 and numbers(clip) == [0, 1, 2, 2]
    with pytest.raises(UserError, match="one frame for 1e.06 s: 5 frames would become"):
        files.read(path, rate=10)


def test_first_frames_alone_are_those_of_the_whole(tmp_path):
    path = write(tmp_path / "clip.mp4", STEADY)
    for rate in (None, 5):
        whole, first = (
            files.read(path, rate=rate),
            files.read(path, rate=rate, num_frames=2),
        )
        np.testing.assert_array_equal(first.frames, whole.frames[:2])
    assert len(files.read(path, num_frames=99).frames) == 6


def test_frames_are_resized_and_cropped(tmp_path):
    path = write(tmp_path / "clip.mp4", STEADY)
    assert files.read(path, short_side=16).frames.shape == (6, 16, 24, 3)
    assert files.read(path, size=16).frames.shape == (6, 16, 16, 3)
    assert numbers(files.read(path, size=16)) == [0, 1, 2, 3, 4, 5]


def test_pixels_become_square(tmp_path, caplog):
    path = write(tmp_path / "clip.mp4", STEADY, aspect=Fraction(2))
    with caplog.at_level(logging.INFO, "regen_jax"):
        assert files.read(path).frames.shape == (6, HEIGHT, 2 * WIDTH, 3)
    assert ": pixels of 2:1 made square\n" in caplog.text


def test_odd_sizes_are_read(tmp_path):
    path = write(
        tmp_path / "c.mkv", STEADY, codec="ffv1", pixel_format="yuv420p", size=(35, 21)
    )
    assert files.read(path).frames.shape == (6, 21, 35, 3)


def error_of(path):
    with pytest.raises(UserError) as caught:
        files.read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_file_without_video_raises_user_error(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        wave = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        wave.sample_rate = 8000
        container.mux(stream.encode(wave))
        container.mux(stream.encode(None))
    assert "has no video: it holds audio" in error_of(path)


def test_missing_empty_and_other_files_raise_user_error(tmp_path):
    assert "there is no video file" in error_of(tmp_path / "missing.mp4")
    assert "is a folder" in error_of(tmp_path)
    (tmp_path / "empty.mp4").touch()
    assert "is empty" in error_of(tmp_path / "empty.mp4")
    (tmp_path / "text.mp4").write_text("not a video " * 100)
    assert "damaged or of an unknown format" in error_of(tmp_path / "text.mp4")


def test_file_without_frames_raises_user_error(tmp_path):
    """An AVI file that declares a stream, and holds nothing of it."""
    path = write(tmp_path / "clip.avi", STEADY, codec="ffv1", pixel_format="bgr0")
    data = path.read_bytes()
    start = data.index(b"movi") + 4
    path.write_bytes(data[:start])
    assert "no frames" in error_of(path) or "damaged" in error_of(path)


def test_damaged_file_is_read_up_to_the_damage_or_raises(tmp_path, caplog):
    path = write(tmp_path / "clip.mp4", STEADY)
    data = bytearray(path.read_bytes())
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    assert "damaged" in error_of(tmp_path / "cut.mp4")
    # A stream of Matroska has no index at its end: its beginning is readable.
    path = write(tmp_path / "clip.mkv", STEADY, codec="ffv1", pixel_format="yuv444p")
    data = path.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) * 2 // 3])
    clip = files.read(tmp_path / "cut.mkv")
    assert 0 < len(clip.frames) < 6 and numbers(clip) == [*range(len(clip.frames))]


def test_missing_package_raises_user_error(tmp_path, monkeypatch):
    path = write(tmp_path / "clip.mp4", [0])
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    assert r".[video]" in error_of(path)
