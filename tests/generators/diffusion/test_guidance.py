"""Guidance: formulas, intervals, costs and options."""

import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.generators.diffusion.guidance.autoguidance import Autoguidance
from regen_jax.generators.diffusion.guidance.classifier_free import ClassifierFree
from regen_jax.generators.diffusion.interfaces import Inputs

SOURCE, X = jnp.array([[1.0], [2.0]]), jnp.array([[3.0], [5.0]])
INPUTS = Inputs(SOURCE, X, jnp.array([0.25, 0.25]))


class Network:
    """Predicts x + t, plus the source where it is not dropped; keeps batch sizes."""

    def __init__(self):
        self.batch_sizes = []

    def __call__(self, inputs, drop):
        source, x, time_B = inputs
        self.batch_sizes.append(len(x))
        return x + time_B[:, None] + jnp.where(drop[:, None], 0, source)


@pytest.mark.parametrize(("scale", "batch_size"), [(0.0, 2), (1.0, 2), (3.0, 4)])
def test_guidance_extrapolates_from_the_unconditional_prediction(scale, batch_size):
    network = Network()
    prediction = ClassifierFree().predict(network, None, INPUTS, scale)
    np.testing.assert_allclose(prediction, X + 0.25 + scale * SOURCE)
    # Only a scale that mixes both predictions doubles the batch.
    assert network.batch_sizes == [batch_size]


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5])
def test_autoguidance_extrapolates_from_the_prediction_of_the_guide(scale):
    def guide(inputs, drop):
        assert not drop.any()
        return 0.5 * inputs.x - inputs.source

    network = Network()
    prediction = Autoguidance().predict(network, guide, INPUTS, scale)
    early, late = 0.5 * X - SOURCE, X + 0.25 + SOURCE
    np.testing.assert_allclose(prediction, early + scale * (late - early))
    assert network.batch_sizes == [2]


def test_autoguidance_at_scale_one_needs_no_guide():
    prediction = Autoguidance().predict(Network(), None, INPUTS, 1.0)
    np.testing.assert_allclose(prediction, X + 0.25 + SOURCE)


@pytest.mark.parametrize("method", [ClassifierFree, Autoguidance])
def test_scale_outside_the_interval_is_one(method):
    scales = [method((0.25, 0.5)).scale_at(t, 3.0) for t in (0.0, 0.25, 0.5, 0.75)]
    assert scales == [1, 3, 3, 1]
    # Of quotients whose last bit differs from the decimal's.
    assert method((0.1, 0.3)).scale_at(3 * 0.1, 3.0) == 3


@pytest.mark.parametrize(
    ("interval", "message"),
    [
        ((0.5, 1.2), r"interval\[1\] must be in \[0, 1\]"),
        ((0.0, float("inf")), r"interval\[1\] must be finite"),
        ((0.5, 0.2), "two rising times"),
    ],
)
def test_interval_out_of_range_raises_value_error(interval, message):
    with pytest.raises(ValueError, match=message):
        ClassifierFree(interval)
