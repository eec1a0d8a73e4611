"""What the frames of a target are given of their tokens."""

import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.networks.duration_encoder import (
    DurationEncoderOptions,
    EncodedTokens,
    lay_out,
    predict_durations,
)


def test_frames_are_given_mean_hidden_features_and_place_of_their_token():
    encoded = EncodedTokens(
        mean=jnp.arange(6.0).reshape(1, 3, 2),
        hidden=jnp.arange(10.0, 22).reshape(1, 3, 4),
        log_duration=jnp.log(jnp.array([[2.0, 1.0, 4.0]])),
        length=jnp.array([3]),
    )
    features = lay_out(encoded, predict_durations(encoded, 8), 8)
    assert features.length == 7
    token = [0, 0, 1, 2, 2, 2, 2]
    values = np.asarray(features.values)
    np.testing.assert_allclose(values[0, :7, :2], encoded.mean[0, token])
    np.testing.assert_allclose(values[0, :7, 2:6], encoded.hidden[0, token])
    place = [-0.5, 0.5, 0, -0.75, -0.25, 0.25, 0.75]
    np.testing.assert_allclose(values[0, :7, 6], place, atol=1e-5)
    np.testing.assert_array_equal(values[0, 7], np.zeros(7))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_layers": -1}, "num_layers must be 0 or more"),
        ({"width": 0}, "width must be at least 1"),
        ({"dropout": 0.999}, r"dropout must be in \[0, 0.99609375\]"),
        ({"dtype": "float16"}, "'float32' or 'bfloat16', not 'float16'"),
    ],
)
def test_option_out_of_range_raises_value_error(options, message):
    with pytest.raises(ValueError, match=message):
        DurationEncoderOptions(**options)
