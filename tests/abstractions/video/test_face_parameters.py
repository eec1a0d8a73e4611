import jax
import numpy as np
import pytest

from regen_jax.abstractions.video.face_parameters import FaceParameters
from regen_jax.modalities.faces.renderer import render
from regen_jax.spaces import Array, Padded, check
from tests.modalities.faces.faces import identities, random_tracks

SPACE = Array((6, 48, 48, 3), 0.0, 255.0, padded=True, step=1.0)
PART = FaceParameters(SPACE, levels=32)


@pytest.fixture(scope="module")
def clips():
    values = np.rint(np.asarray(render(identities(2), random_tracks(2, 6))))
    values[1, 4:] = 0
    return Padded(values.astype(np.float32), np.array([6, 4], np.int32))


@jax.jit
def there_and_back(y):
    y_prime = PART.encode({}, y)
    return y_prime, PART.decode({}, y_prime)


@pytest.fixture(scope="module")
def regenerated(clips):
    y_prime, y = jax.device_get(there_and_back(clips))
    check(PART.output_space, y_prime, "y′")
    check(SPACE, y, "y")
    return y_prime, y


def test_clip_from_its_parameters_is_near_it(clips, regenerated):
    _, y = regenerated
    valid = np.arange(6) < clips.length[:, None]
    error = np.mean(np.square((y.values - clips.values)[valid]))
    assert 10 * np.log10(255**2 / error) > 30
    assert not y.values[~valid].any()
    np.testing.assert_array_equal(y.length, clips.length)


def test_tracks_have_the_levels_and_picture_is_the_first_frame(clips, regenerated):
    y_prime, _ = regenerated
    steps = (y_prime["tracks"].values[0] + 1) * 31 / 2
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-4)
    np.testing.assert_array_equal(y_prime["picture"], clips.values[:, 0])
    assert not y_prime["tracks"].values[1, 4:].any()


def test_code_metrics_are_errors_in_units_of_the_range(regenerated):
    y_prime, _ = regenerated
    tracks = y_prime["tracks"]
    moved = Padded(tracks.values + np.float32([0.2, 0, 0, 0, 0, 0, 0]), tracks.length)
    metrics = PART.code_metrics({"tracks": moved}, y_prime)
    assert metrics["jaw_rmse"] == pytest.approx(0.1, abs=1e-5)
    assert metrics["tracks_rmse"] == pytest.approx(0.1 / np.sqrt(7), abs=1e-5)


def test_pictures_without_a_face_give_finite_frames(clips):
    noise = np.random.RandomState(0).uniform(0, 255, clips.values.shape)
    for values in (noise, np.zeros_like(noise)):
        _, y = there_and_back(Padded(values.astype(np.float32), clips.length))
        assert np.isfinite(y.values).all()


@pytest.mark.parametrize(
    "space",
    [
        Array((6, 32, 32, 3), 0.0, 255.0, padded=True),
        Array((6, 48, 48, 3), 0.0, 255.0),
        Array((6, 48, 48, 3), -1.0, 1.0, padded=True),
    ],
)
def test_other_clips_raise_value_error(space):
    with pytest.raises(ValueError, match="needs padded clips of 48 × 48 RGB pixels"):
        FaceParameters(space)
