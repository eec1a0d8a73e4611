import numpy as np
import pytest

from regen_jax.media.heatmaps import render_alignment, render_spectrograms

DARKEST, BRIGHTEST = [0, 0, 4], [252, 253, 191]


def has_ink(pixels):
    """Returns whether pixels u8[H, W, 3] have anything but white."""
    return bool((pixels != 255).any())


def test_spectrograms_are_stacked_with_low_bands_at_the_bottom():
    long, short = np.full((9, 4), -99.0), np.full((5, 4), 99.0)
    long[0, 0] = 99.0
    canvas = render_spectrograms([long, short], ["", ""], scale=1)
    assert canvas.dtype == np.uint8 and canvas.shape[1:] == (6 + 9 + 6, 3)
    first, second = canvas[6:10, 6:15], canvas[-(18 + 6 + 4) : -(18 + 6), 6:15]
    bright = (first == BRIGHTEST).all(axis=-1)
    np.testing.assert_array_equal(np.argwhere(bright), [[3, 0]])
    assert (first[~bright] == DARKEST).all()
    assert (second[:, :5] == BRIGHTEST).all() and (second[:, 5:] == 255).all()
    labeled = render_spectrograms([long, short], ["a", "b"], scale=1)
    np.testing.assert_array_equal(labeled[6:10], canvas[6:10])
    assert has_ink(labeled[12:28, 6:15]) and not has_ink(canvas[12:28, 6:15])


def test_colors_brighten_with_the_value():
    ramp = np.linspace(-2, 3, 101)[:, None]
    canvas = render_spectrograms([ramp], [""], low=-2, high=3, scale=1)
    colors = canvas[6, 6 : 6 + 101].astype(float)
    luminance = colors @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > 0).all()
    assert colors[0].tolist() == DARKEST and colors[-1].tolist() == BRIGHTEST
    broken = render_spectrograms([np.full((3, 1), np.nan)], [""], scale=1)
    assert (broken[6, 6:9] == DARKEST).all()


def test_alignment_has_targets_to_the_right_and_sources_upwards():
    weights = np.zeros((4, 3))
    weights[0, 0] = weights[3, 2] = 0.5
    weights[1, 1] = 0.25
    canvas = render_alignment(weights)
    cells = canvas[6:-6, 6:-6][32::64, 32::64]
    assert cells.shape == (3, 4, 3)
    assert cells[2, 0].tolist() == cells[0, 3].tolist() == BRIGHTEST
    assert cells[1, 1].tolist() == [183, 55, 121]
    assert cells[0, 0].tolist() == DARKEST
    assert (render_alignment(np.zeros((2, 2)))[50, 50] == DARKEST).all()


@pytest.mark.parametrize(
    ("render", "message"),
    [
        (lambda: render_spectrograms([], []), r"needs one or more \[T, num_mels\]"),
        (
            lambda: render_spectrograms([np.zeros((2, 3)), np.zeros((2, 4))], "ab"),
            "not",
        ),
        (lambda: render_spectrograms([np.zeros((2, 3))], "ab"), "1 captions, not 2"),
        (lambda: render_alignment(np.zeros(3)), r"needs \[L, S\], not \[3\]"),
    ],
)
def test_invalid_arguments_raise_value_error(render, message):
    with pytest.raises(ValueError, match=message):
        render()
