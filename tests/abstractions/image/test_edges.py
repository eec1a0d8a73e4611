"""Canny edges against a reference of loops, SciPy's filters and its labels."""

import jax
import numpy as np
import pytest
from scipy import ndimage

from regen_jax.abstractions.image.edges import Edges
from regen_jax.errors import UserError
from regen_jax.spaces import Array, Tokens, to_dtype
from tests.errors import value_error

GRAY = Array((9, 12, 1), 0.0, 255.0, step=1.0)
COLOR = Array((17, 16, 3), -1.0, 1.0)


def reference(image, sigma, low, high):
    """Edges bool[H, W] of an image f64[H, W, C] in [0, 1]."""
    blurred = np.stack(
        [ndimage.gaussian_filter(c, sigma, mode="nearest") for c in image.T], -1
    ).swapaxes(0, 1)
    gradient = np.stack(
        [
            [ndimage.sobel(c, axis, mode="nearest") / 8 for axis in (0, 1)]
            for c in np.moveaxis(blurred, -1, 0)
        ]
    )
    sizes = np.hypot(gradient[:, 0], gradient[:, 1])
    size = sizes.max(axis=0)
    height, width = size.shape
    peaks = np.zeros((height, width), bool)
    for y, x in np.ndindex(height, width):
        dy, dx = gradient[sizes[:, y, x].argmax(), :, y, x]
        octant = round(np.degrees(np.arctan2(dy, dx)) / 45)
        step = np.round([np.sin(octant * np.pi / 4), np.cos(octant * np.pi / 4)])
        around = [np.array([y, x]) + sign * step.astype(int) for sign in (1, -1)]
        values = [
            size[tuple(p)] if np.all(p >= 0) and np.all(p < size.shape) else 0.0
            for p in around
        ]
        peaks[y, x] = size[y, x] > max(values)
    labels, _ = ndimage.label(peaks & (size >= low), np.ones((3, 3)))
    strong = np.unique(labels[peaks & (size >= high)])
    return np.isin(labels, strong[strong > 0])


@pytest.mark.parametrize(
    ("space", "sigma", "low", "high"),
    [(GRAY, 1.0, 0.05, 0.1), (GRAY, 0.7, 0.02, 0.2), (COLOR, 1.6, 0.01, 0.06)],
)
def test_edges_equal_those_of_reference(space, sigma, low, high):
    rng = np.random.default_rng(0)
    # Noise has edges of every strength and direction; shapes have long ones.
    unit = rng.uniform(0, 0.4, (3, *space.shape))
    unit[1:, 3:7, 2:9] += 0.5
    y = space.low + unit * (space.high - space.low)
    edges = jax.jit(Edges(space, sigma, low, high).encode)({}, to_dtype(space, y))
    expected = [reference(image, sigma, low, high) for image in unit]
    assert 0.02 < np.mean(expected) < 0.4
    np.testing.assert_array_equal(edges[..., 0], expected)


def test_step_between_equal_pixels_is_an_edge_of_one_pixel():
    y = np.zeros((1, *GRAY.shape), np.float32)
    y[:, :, 5:] = 255
    edges = np.asarray(Edges(GRAY).encode({}, y))[0, ..., 0]
    np.testing.assert_array_equal(edges, [np.arange(12) == 5] * 9)
    flipped = np.asarray(Edges(GRAY).encode({}, 255 - y))[0, ..., 0]
    np.testing.assert_array_equal(flipped, edges)


def test_image_without_contrast_has_no_edges():
    y = np.full((1, *COLOR.shape), 0.3, np.float32)
    assert not np.any(Edges(COLOR).encode({}, y))


def test_space_is_binary_and_has_no_inverse():
    edges = Edges(COLOR)
    assert edges.output_space == Array((17, 16, 1), 0.0, 1.0, step=1.0)
    assert not edges.invertible and edges.human_editable


def test_edited_text_gives_the_edges_it_draws():
    edges = Edges(Array((2, 3, 3), 0.0, 1.0))
    text = "#..\n.##\n"
    drawn = edges.from_text(text)
    np.testing.assert_array_equal(drawn[..., 0], [[1, 0, 0], [0, 1, 1]])
    assert edges.to_text(drawn) == text
    # What a prior generates lies between.
    assert edges.to_text(0.4 * drawn + 0.3) == text
    assert edges.to_text(0.4 * drawn) == "...\n...\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#..\n", "an edge map has 2 lines here, not 1"),
        ("#..\n#.\n", "line 2 of the edge map must be 3 characters # or ., not '#.'"),
        ("#x.\n#..", "line 1 of the edge map must be 3 characters # or ., not '#x.'"),
    ],
)
def test_text_that_is_no_edge_map_raises_user_error(text, message):
    with pytest.raises(UserError) as error:
        Edges(Array((2, 3, 3), 0.0, 1.0)).from_text(text)
    assert str(error.value) == message


def test_images_with_their_own_edges_are_consistent():
    y = np.random.default_rng(0).integers(0, 256, (4, *GRAY.shape)).astype(np.uint8)
    abstraction = Edges(GRAY)
    own = np.asarray(abstraction.encode({}, to_dtype(GRAY, y)))
    assert abstraction.consistency_metrics({}, y, own) == {"edge_f1": 1.0}
    assert abstraction.consistency_metrics({}, y, 0 * own) == {"edge_f1": 0.0}
    assert abstraction.code_metrics(own, own) == {"edge_f1": 1.0}


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (Tokens(4, 2), {}, "needs an Array of images with bounds [H, W, channels]"),
        (Array((4, 4, 1)), {}, "needs an Array of images with bounds [H, W, channels]"),
        (Array((4, 4), 0, 1), {}, "needs an Array of images with bounds"),
        (Array((4, 4, 1), 0, 1, padded=True), {}, "needs an Array of constant length"),
        (GRAY, {"low_threshold": 0.3}, "low_threshold 0.3 exceeds high_threshold 0.1"),
        (GRAY, {"sigma": -1.0}, "sigma must be 0 or more, not -1.0"),
    ],
)
def test_invalid_option_raises_value_error(space, options, message):
    assert message in value_error(Edges, space, **options)
