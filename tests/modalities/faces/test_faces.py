import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.modalities.faces import renderer
from regen_jax.modalities.faces.face import GEOMETRY, SIZE, TRACKS, Identity
from regen_jax.modalities.faces.inverse import read_tracks
from regen_jax.modalities.faces.portrait import read_identity
from regen_jax.modalities.faces.shapes import coverage, ellipse
from regen_jax.modalities.faces.unmixing import (
    fill_columns,
    material_fractions,
    measure,
)
from tests.modalities.faces.faces import identities, random_tracks

NUMBER, FRAMES = 6, 12
render = jax.jit(renderer.render)


@pytest.fixture(scope="module")
def identity():
    return identities(NUMBER)


@pytest.fixture(scope="module")
def tracks():
    return random_tracks(NUMBER, FRAMES)


@pytest.fixture(scope="module")
def frames(identity, tracks):
    """Frames as they are stored, in whole numbers."""
    return np.rint(np.asarray(render(identity, tracks)))


@pytest.fixture(scope="module")
def read(frames):
    """Identity and tracks that the inverse reads off the frames alone."""

    def invert(frames):
        identity = read_identity(frames[:, 0])
        return identity, read_tracks(identity, frames)

    return jax.device_get(jax.jit(invert)(frames))


def test_frames_are_deterministic_and_within_the_range(identity, tracks, frames):
    again = np.rint(np.asarray(render(identity, tracks)))
    np.testing.assert_array_equal(again, frames)
    assert frames.shape == (NUMBER, FRAMES, SIZE, SIZE, 3)
    assert frames.min() >= 0 and frames.max() <= 255


def test_neutral_face_is_symmetric_but_for_glints(frames):
    neutral = frames[:, 0]
    differs = np.abs(neutral - neutral[:, :, ::-1]).max(axis=(0, 3)) > 1
    rows, _ = np.nonzero(differs)
    assert set(rows) <= {20, 21, 22}


@pytest.mark.parametrize("track, rows", [("jaw", (23, 42)), ("blink", (18, 26))])
def test_track_moves_its_part_of_the_face_alone(identity, track, rows):
    tracks = np.zeros((NUMBER, FRAMES, len(TRACKS)), np.float32)
    tracks[:, 1, TRACKS.index(track)] = 1
    drawn = np.asarray(render(identity, tracks))
    changed = np.abs(drawn[:, 1] - drawn[:, 0]).max(axis=(0, 2, 3)) > 0.5
    moved = np.nonzero(changed)[0]
    assert rows[0] <= moved.min() and moved.max() <= rows[1]


def test_identity_is_read_off_the_first_frame(identity, read):
    lengths, _ = read
    error = np.abs(lengths.geometry - identity.geometry)
    bounds = {name: 0.15 for name in GEOMETRY} | {"hair_length": 0.4}
    for name, worst in zip(GEOMETRY, error.max(axis=0), strict=True):
        assert worst < bounds[name], name
    # A color of a few pixels is known less well: lips and irises.
    assert np.abs(lengths.colors - identity.colors)[:, :4].max() < 3
    assert np.abs(lengths.colors - identity.colors).max() < 16


@pytest.mark.parametrize(
    "track, rms",
    [
        ("jaw", 0.04),
        ("lip_width", 0.15),
        ("lip_rounding", 0.15),
        ("blink", 0.15),
        ("yaw", 0.06),
        ("pitch", 0.06),
        ("roll", 0.12),
    ],
)
def test_tracks_are_read_off_frames(tracks, read, track, rms):
    index = TRACKS.index(track)
    error = read[1][..., index] - tracks[..., index]
    assert np.sqrt(np.mean(np.square(error))) < rms


def test_frames_from_what_is_read_are_those_read(frames, read):
    drawn = np.asarray(render(*read))
    error = np.mean(np.square(drawn - frames))
    assert 10 * np.log10(255**2 / error) > 37


def test_frames_have_gradients(identity, tracks):
    first = Identity(*(part[:1] for part in identity))

    def total(tracks):
        return jnp.sum(renderer.render(first, tracks))

    gradient = jax.jit(jax.grad(total))(tracks[:1, 1:2])
    assert np.isfinite(gradient).all() and np.abs(gradient).min(axis=1).max() > 0


def test_sum_of_coverage_is_the_area_of_an_ellipse():
    x, y = np.arange(48) - 23.3, np.arange(48)[:, None] - 23.6
    area = float(jnp.sum(coverage(ellipse(x, y, 9.0, 5.0))))
    assert area == pytest.approx(np.pi * 9 * 5, rel=0.01)


def test_fractions_of_mixed_pixels_are_exact():
    random = np.random.RandomState(0)
    colors = random.uniform(0, 255, (3, 3))
    weights = random.dirichlet(np.ones(3), 20)
    first, second = material_fractions(weights @ colors, *colors)
    np.testing.assert_allclose(first, weights[:, 1], atol=1e-4)
    np.testing.assert_allclose(second, weights[:, 2], atol=1e-4)


def test_filled_columns_are_those_of_maxima_from_both_ends():
    values = np.random.RandomState(0).uniform(size=(2, 7, 5))
    above = np.maximum.accumulate(values, axis=1)
    below = np.maximum.accumulate(values[:, ::-1], axis=1)[:, ::-1]
    filled = fill_columns(values)
    np.testing.assert_allclose(filled, np.minimum(above, below), atol=1e-6)


def test_region_is_measured_along_rotated_axes():
    x, y = np.arange(48) - 23.5, np.arange(48)[:, None] - 22.5
    turned = np.cos(0.3) * x + np.sin(0.3) * y, np.cos(0.3) * y - np.sin(0.3) * x
    weights = coverage(ellipse(turned[0] - 4, turned[1], 10.0, 6.0))
    region = measure(weights, slice(0, 48), slice(0, 48)).rotated(-0.3)
    assert region.x == pytest.approx(4, abs=0.05)
    assert region.y == pytest.approx(0, abs=0.05)
    assert 2 * np.sqrt(region.xx) == pytest.approx(10, abs=0.1)
    assert 2 * np.sqrt(region.yy) == pytest.approx(6, abs=0.1)
