import numpy as np
import pytest
from PIL import Image

from regen_jax.media.image_grid import image_grid
from regen_jax.media.media import write_png


def random_images(count, height=4, width=5, channels=1):
    rng = np.random.default_rng(0)
    shape = (count, height, width, channels)
    return rng.integers(0, 256, size=shape).astype(np.uint8)


def has_ink(canvas, column_range):
    """Returns whether columns of u8[H, W, C] have anything but white."""
    return bool((canvas[:, slice(*column_range)] != 255).any())


@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_is_enlarged_at_its_place(channels):
    images = random_images(5, channels=channels)
    canvas = image_grid(images, columns=3, scale=2, gap=4)
    assert canvas.shape == (4 + 2 * (8 + 4), 4 + 3 * (10 + 4), channels)
    assert canvas.dtype == np.uint8
    for index, image in enumerate(images):
        y, x = 4 + index // 3 * 12, 4 + index % 3 * 14
        part = canvas[y : y + 8, x : x + 10]
        np.testing.assert_array_equal(part[::2, ::2], image)
        np.testing.assert_array_equal(part[1::2, 1::2], image)
    assert (canvas[-12:-4, -14:-4] == 255).all()


def test_labels_and_captions_add_margins_only():
    images = random_images(4, 20, 40)
    plain = image_grid(images, columns=2, scale=1)
    rows = image_grid(images, columns=2, scale=1, row_labels=["original", "again"])
    columns = image_grid(images, columns=2, scale=1, column_labels=["a", "b"])
    captions = image_grid(images, columns=2, scale=1, captions=["a", "b", "c", "d"])
    height, width = plain.shape[:2]
    assert rows.shape[0] == height and columns.shape[1] == captions.shape[1] == width
    margin = rows.shape[1] - width
    np.testing.assert_array_equal(rows[:, margin + 3 :], plain[:, 3:])
    assert has_ink(rows, (0, margin)) and not has_ink(rows, (0, 3))
    extra = columns.shape[0] - height
    np.testing.assert_array_equal(columns[extra + 3 :], plain[3:])
    assert (columns[:extra] != 255).any()
    assert captions.shape[0] - height == 2 * (extra - 2)
    for index, image in enumerate(images):
        y, x = 6 + index // 2 * (26 + extra - 2), 6 + index % 2 * 46
        np.testing.assert_array_equal(captions[y : y + 20, x : x + 40], image)


def test_long_caption_is_wrapped_between_words():
    images = random_images(3, 40, 40)

    def below(*captions):
        return image_grid(images, columns=3, scale=1, captions=captions)[47:]

    line = below("a very", "", "") != 255
    lines = below("a very long", "one", "") != 255
    height = 18
    assert len(lines) == len(line) + height
    second = below("long", "", "") != 255
    text = height - 1  # Below the frame of an image.
    np.testing.assert_array_equal(lines[:text, :48], line[:text, :48])
    np.testing.assert_array_equal(
        lines[height : height + text, :48], second[:text, :48]
    )
    assert not lines[height:, 52:].any()
    # No more than three lines, the last of which is truncated.
    assert len(below("a very long text for so small an image", "", "")) == len(
        below("one two three", "", "")
    )


def test_long_word_is_truncated_to_its_image():
    images = random_images(3, 40, 40)
    canvas = image_grid(
        images, columns=3, scale=1, captions=["", "averylongcaption", ""]
    )
    below = canvas[48:]
    assert (
        has_ink(below, (52, 92))
        and not has_ink(below, (0, 50))
        and not has_ink(below, (95, -1))
    )


def test_written_png_holds_the_exact_pixels(tmp_path):
    for channels in (1, 3):
        image = random_images(1, channels=channels)[0]
        write_png(tmp_path / "image.png", image)
        loaded = np.asarray(Image.open(tmp_path / "image.png")).reshape(image.shape)
        np.testing.assert_array_equal(loaded, image)


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (np.zeros((2, 4, 4, 1)), {}, r"needs uint8 .* not float64 \[2, 4, 4, 1\]"),
        (random_images(2, channels=2), {}, r"not uint8 \[2, 4, 5, 2\]"),
        (random_images(2), {"columns": 0}, "columns and scale >= 1, not 0, 2"),
        (random_images(3), {"row_labels": "a"}, "needs 2 row_labels, not 1"),
        (random_images(3), {"column_labels": "abc"}, "needs 2 column_labels, not 3"),
        (random_images(3), {"captions": "ab"}, "needs 3 captions, not 2"),
    ],
)
def test_invalid_arguments_raise_value_error(images, options, message):
    with pytest.raises(ValueError, match=message):
        image_grid(images, **{"columns": 2, **options})
