import numpy as np
import pytest
from PIL import Image

from regen_jax.media.image_grid import (
    alignment_picture,
    grid,
    save_png,
    spectrogram_picture,
)

DARKEST, BRIGHTEST = [0, 0, 4], [252, 253, 191]


def pictures(count, height=4, width=5, channels=1):
    rng = np.random.default_rng(0)
    shape = (count, height, width, channels)
    return rng.integers(0, 256, size=shape).astype(np.uint8)


def ink(sheet, column_range):
    """Whether anything but paper is drawn within columns of a sheet uint8 [H, W, C]."""
    return bool((sheet[:, slice(*column_range)] != 255).any())


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_stands_in_its_place_enlarged(channels):
    images = pictures(5, channels=channels)
    sheet = grid(images, columns=3, scale=2, gap=4)
    assert sheet.shape == (4 + 2 * (8 + 4), 4 + 3 * (10 + 4), channels)
    assert sheet.dtype == np.uint8
    for index, image in enumerate(images):
        y, x = 4 + index // 3 * 12, 4 + index % 3 * 14
        part = sheet[y : y + 8, x : x + 10]
        np.testing.assert_array_equal(part[::2, ::2], image)
        np.testing.assert_array_equal(part[1::2, 1::2], image)
    assert (sheet[-12:-4, -14:-4] == 255).all()


def test_labels_and_captions_only_add_margins():
    images = pictures(4, 20, 40)
    plain = grid(images, columns=2, scale=1)
    rows = grid(images, columns=2, scale=1, row_labels=["original", "again"])
    columns = grid(images, columns=2, scale=1, column_labels=["a", "b"])
    captions = grid(images, columns=2, scale=1, captions=["a", "b", "c", "d"])
    height, width = plain.shape[:2]
    assert rows.shape[0] == height and columns.shape[1] == captions.shape[1] == width
    margin = rows.shape[1] - width
    np.testing.assert_array_equal(rows[:, margin + 3 :], plain[:, 3:])
    assert ink(rows, (0, margin)) and not ink(rows, (0, 3))
    extra = columns.shape[0] - height
    np.testing.assert_array_equal(columns[extra + 3 :], plain[3:])
    assert (columns[:extra] != 255).any()
    assert captions.shape[0] - height == 2 * (extra - 2)
    for index, image in enumerate(images):
        y, x = 6 + index // 2 * (26 + extra - 2), 6 + index % 2 * 46
        np.testing.assert_array_equal(captions[y : y + 20, x : x + 40], image)


def test_long_captions_stay_under_their_image():
    images = pictures(3, 40, 40)
    sheet = grid(images, columns=3, scale=1, captions=["", "a very long caption", ""])
    below = sheet[48:]
    assert ink(below, (52, 92)) and not ink(below, (0, 50)) and not ink(below, (95, -1))


def test_png_holds_the_exact_pixels(tmp_path):
    for channels in (1, 3):
        image = pictures(1, channels=channels)[0]
        save_png(tmp_path / "image.png", image)
        loaded = np.asarray(Image.open(tmp_path / "image.png")).reshape(image.shape)
        np.testing.assert_array_equal(loaded, image)


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (np.zeros((2, 4, 4, 1)), {}, r"needs uint8 .* not float64 \[2, 4, 4, 1\]"),
        (pictures(2, channels=2), {}, r"not uint8 \[2, 4, 5, 2\]"),
        (pictures(2), {"columns": 0}, "columns and scale >= 1, not 0, 2"),
        (pictures(3), {"row_labels": "a"}, "needs 2 row_labels, not 1"),
        (pictures(3), {"column_labels": "abc"}, "needs 2 column_labels, not 3"),
        (pictures(3), {"captions": "ab"}, "needs 3 captions, not 2"),
    ],
)
def test_errors(images, options, message):
    with pytest.raises(ValueError, match=message):
        grid(images, **{"columns": 2, **options})


def test_spectrograms_stand_above_one_another_with_low_bands_below():
    long, short = np.full((9, 4), -99.0), np.full((5, 4), 99.0)
    long[0, 0] = 99.0
    sheet = spectrogram_picture([long, short], ["", ""], scale=1)
    assert sheet.dtype == np.uint8 and sheet.shape[1:] == (6 + 9 + 6, 3)
    first, second = sheet[6:10, 6:15], sheet[-(18 + 6 + 4) : -(18 + 6), 6:15]
    bright = (first == BRIGHTEST).all(axis=-1)
    np.testing.assert_array_equal(np.argwhere(bright), [[3, 0]])
    assert (first[~bright] == DARKEST).all()
    assert (second[:, :5] == BRIGHTEST).all() and (second[:, 5:] == 255).all()
    labelled = spectrogram_picture([long, short], ["a", "b"], scale=1)
    np.testing.assert_array_equal(labelled[6:10], sheet[6:10])
    assert ink(labelled[12:28], (6, 15)) and not ink(sheet[12:28], (6, 15))


def test_colours_brighten_with_the_value():
    ramp = np.linspace(-2, 3, 101)[:, None]
    sheet = spectrogram_picture([ramp], [""], low=-2, high=3, scale=1)
    colours = sheet[6, 6 : 6 + 101].astype(float)
    luminance = colours @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > 0).all()
    assert colours[0].tolist() == DARKEST and colours[-1].tolist() == BRIGHTEST
    broken = spectrogram_picture([np.full((3, 1), np.nan)], [""], scale=1)
    assert (broken[6, 6:9] == DARKEST).all()


def test_alignment_goes_up_from_left_to_right():
    weights = np.zeros((4, 3))
    weights[0, 0] = weights[3, 2] = 0.5
    weights[1, 1] = 0.25
    sheet = alignment_picture(weights)
    cells = sheet[6:-6, 6:-6][32::64, 32::64]
    assert cells.shape == (3, 4, 3)
    assert cells[2, 0].tolist() == cells[0, 3].tolist() == BRIGHTEST
    assert cells[1, 1].tolist() == [183, 55, 121]
    assert cells[0, 0].tolist() == DARKEST
    assert (alignment_picture(np.zeros((2, 2)))[50, 50] == DARKEST).all()


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: spectrogram_picture([], []), r"needs one or more \[T, bands\]"),
        (
            lambda: spectrogram_picture([np.zeros((2, 3)), np.zeros((2, 4))], "ab"),
            "not",
        ),
        (lambda: spectrogram_picture([np.zeros((2, 3))], "ab"), "1 captions, not 2"),
        (lambda: alignment_picture(np.zeros(3)), r"needs \[L, S\], not \[3\]"),
    ],
)
def test_pictures_refuse(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
