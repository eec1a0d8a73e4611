import numpy as np
import pytest

from regen_jax.abstractions.audio.frame_mel import MEAN, SCALE, FrameMel
from regen_jax.modalities.audio.mel import log_mel
from regen_jax.spaces import Array, Padded, Record, check

SOUND = Array((5, 640), -1.0, 1.0, padded=True)
PICTURE = Array((4, 4, 3), 0.0, 255.0)
X = Record((("speech", SOUND), ("picture", PICTURE)))


def test_features_of_frames_are_those_of_the_wave():
    part = FrameMel(SOUND, num_mels=20)
    wave = np.random.RandomState(0).uniform(-0.5, 0.5, (2, 5, 640)).astype(np.float32)
    sound = Padded(wave, np.array([5, 3], np.int32))
    features = part.encode({}, sound)
    check(part.output_space, features, "x′")
    expected = log_mel(wave[0].reshape(-1), 16_000, 640, 160, 20).reshape(5, 80)
    np.testing.assert_allclose(features.values[0], (expected - MEAN) / SCALE, atol=1e-4)
    assert not features.values[1, 3:].any()


def test_other_fields_of_a_record_stay():
    part = FrameMel(X, num_mels=20)
    assert part.output_space == Record(
        (("speech", Array((5, 80), padded=True)), ("picture", PICTURE))
    )
    sound = Padded(np.zeros((1, 5, 640), np.float32), np.array([5], np.int32))
    picture = np.ones((1, 4, 4, 3), np.float32)
    x_prime = part.encode({}, {"speech": sound, "picture": picture})
    np.testing.assert_array_equal(x_prime["picture"], picture)


@pytest.mark.parametrize(
    "space, options, words",
    [
        (PICTURE, {}, "needs padded frames of samples"),
        (SOUND, {"parts": 7}, "parts 7 does not divide the 640 samples"),
    ],
)
def test_wrong_space_or_parts_raise_value_error(space, options, words):
    with pytest.raises(ValueError, match=words):
        FrameMel(space, **options)
