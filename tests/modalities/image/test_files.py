"""Picture files: what is read, converted and refused, and what is logged of it."""

import logging
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from regen_jax.errors import UserError
from regen_jax.modalities.image.files import read_picture


def test_picture_of_another_size_is_cropped_and_logged(tmp_path, caplog):
    path = tmp_path / "face.png"
    wide = np.zeros((60, 100, 3), np.uint8)
    wide[:, 20:80] = 200
    Image.fromarray(wide).save(path)
    with caplog.at_level(logging.INFO, "regen_jax"):
        picture = read_picture(str(path), 48)
    assert picture.shape == (48, 48, 3) and picture.min() > 190
    assert "100 × 60 pixels; cropped and resized to 48 × 48" in caplog.text


def test_picture_of_a_camera_on_its_side_is_upright(tmp_path):
    upright = np.zeros((48, 48, 3), np.uint8)
    upright[:24] = 200
    exif = Image.Exif()
    exif[274] = 6  # The first column as stored is the top of the scene.
    stored = Image.fromarray(np.rot90(upright).copy())
    stored.save(tmp_path / "face.jpg", quality=95, exif=exif)
    picture = read_picture(str(tmp_path / "face.jpg"), 48)
    assert picture[:20].min() > 190 and picture[28:].max() < 10


def test_what_is_lost_of_a_file_is_logged(tmp_path, caplog):
    frames = [Image.new("RGB", (48, 48), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    # Pillow writes no 16-bit colors: a PNG of one pixel, by hand.
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0" + struct.pack(">HHH", 0xC8FF, 0x6400, 0x0012))
    chunks = ((b"IHDR", header), (b"IDAT", pixel), (b"IEND", b""))
    (tmp_path / "deep.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data))
            + kind
            + data
            + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
    )
    with caplog.at_level(logging.INFO, "regen_jax"):
        first = read_picture(str(tmp_path / "two.gif"), 48)
        deep = read_picture(str(tmp_path / "deep.png"), 1)
    assert first[0, 0].tolist() == [255, 0, 0]
    assert deep[0, 0].tolist() == [0xC8, 0x64, 0]
    assert "48 × 48 pixels; first of 2 pictures" in caplog.text
    assert "1 × 1 pixels; upper 8 of 16 bits per channel" in caplog.text


def test_unknown_orientation_turns_nothing(tmp_path, caplog):
    exif = Image.Exif()
    exif[274] = 99
    Image.new("RGB", (48, 48)).save(tmp_path / "face.jpg", exif=exif)
    with caplog.at_level(logging.INFO, "regen_jax"):
        read_picture(str(tmp_path / "face.jpg"), 48)
    assert caplog.text == ""


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "there is no picture"),
        (b"", "is no picture that can be read"),
        (b"no picture at all", "is no picture that can be read"),
        (b"\x89PNG\r\n\x1a\n" + 20 * b"\0", "can.* be read"),
    ],
)
def test_missing_or_damaged_picture_raises_user_error(tmp_path, content, words):
    path = tmp_path / "face.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=words):
        read_picture(str(path), 48)


def test_truncated_picture_raises_user_error(tmp_path):
    path = tmp_path / "face.png"
    noise = np.random.RandomState(0).randint(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UserError, match=r"face.png' cannot be read"):
        read_picture(str(path), 48)


@pytest.mark.parametrize(
    "values",
    [np.uint16([[0, 65535]] * 2), np.int32([[0, 7]] * 2), np.float32([[0, 1]] * 2)],
)
def test_picture_of_more_than_8_bits_raises_user_error(tmp_path, values):
    """Pillow would clip it to 8 bits, all but white or black."""
    path = str(tmp_path / "deep.tiff")
    Image.fromarray(values).save(path)
    with pytest.raises(
        UserError, match="deep.tiff' has pixels .* write it with 8 bits"
    ):
        read_picture(path, 48)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_become_white(tmp_path, caplog, mode):
    pixels = np.zeros((48, 48, 4), np.uint8)
    pixels[:24, :, 3] = 255
    path = str(tmp_path / "face.png")
    Image.fromarray(pixels).convert(mode).save(path)
    with caplog.at_level(logging.INFO, "regen_jax"):
        picture = read_picture(path, 48)
    assert picture[:24].max() == 0 and picture[24:].min() == 255
    assert "laid on white" in caplog.text


def test_opaque_picture_is_read_without_a_word(tmp_path, caplog):
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 4), np.uint8)
    pixels[..., 3] = 255
    path = str(tmp_path / "face.png")
    Image.fromarray(pixels).save(path)
    with caplog.at_level(logging.INFO, "regen_jax"):
        np.testing.assert_array_equal(read_picture(path, 48), pixels[..., :3])
    assert not caplog.text


def test_folder_raises_user_error(tmp_path):
    with pytest.raises(UserError, match="is a folder: give a PNG or JPEG file"):
        read_picture(str(tmp_path), 48)
