"""Loss terms together: weights, starts, parameters of their own."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.losses.interface import (
    LossTerm,
    TermLoss,
    check_terms,
    count_step,
    init_terms,
    total_loss,
)
from regen_jax.losses.squared_error import SquaredError
from regen_jax.spaces import Array
from tests.errors import value_error

SPACE = Array((3,))
PREDICTION = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]], np.float32)
TARGET = np.ones((2, 3), np.float32)
SQUARES = np.array([5 / 3, 1.0])


@dataclasses.dataclass(frozen=True)
class Scaled(LossTerm):
    """|scale · prediction|, whose scale is trained to be 2."""

    def check(self, space):
        if space.shape != (3,):
            raise ValueError(f"loss needs 3 values, not {space}")

    def init(self, rng, space):
        return {"scale": jnp.ones(())}

    def __call__(self, params, space, prediction, target):
        loss = params["scale"] * jnp.abs(prediction).sum(axis=1)
        own = jnp.full(2, jnp.square(params["scale"] - 2))
        return TermLoss(loss, {"scaled": loss}, own)

    def example_weights(self, space, target):
        return {"scaled": target[:, 0]}


def terms_and_variables(*terms):
    check_terms(terms, SPACE)
    return terms, init_terms(terms, jax.random.key(0), SPACE)


def test_total_is_weighted_and_own_losses_are_not():
    terms, variables = terms_and_variables(SquaredError(0.5), Scaled(3.0))
    assert variables == {"params": {"losses": {"test_interface": {"scale": 1.0}}}}
    output = total_loss(terms, variables, SPACE, PREDICTION, TARGET)
    scaled = np.array([6.0, 0.0])
    np.testing.assert_allclose(output.loss, 0.5 * SQUARES + 3 * scaled + 1, rtol=1e-6)
    np.testing.assert_allclose(output.metrics["reconstruction_loss"], SQUARES)
    np.testing.assert_allclose(output.metrics["scaled"], scaled)
    np.testing.assert_array_equal(output.weights["scaled"], [1, 1])


def test_term_before_its_start_is_zero():
    terms, variables = terms_and_variables(SquaredError(), Scaled(start=2))
    losses = []
    for _ in range(3):
        output = total_loss(terms, variables, SPACE, PREDICTION, TARGET)
        losses.append(output.loss)
        variables = count_step(variables)
    assert variables["progress"]["step"] == 3
    np.testing.assert_allclose(losses[:2], [SQUARES, SQUARES], rtol=1e-6)
    np.testing.assert_allclose(losses[2], SQUARES + np.array([7, 1]), rtol=1e-6)


def test_term_of_weight_0_has_no_parameters():
    terms, variables = terms_and_variables(SquaredError(), Scaled(0.0, start=5))
    assert variables == {"params": {}} == count_step(variables)
    output = total_loss(terms, variables, SPACE, PREDICTION, TARGET)
    assert set(output.metrics) == {"reconstruction_loss"}


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ((), "losses must be one term or more with a weight above 0"),
        ((Scaled(), Scaled()), "losses must differ, but 'test_interface' is there"),
        ((SquaredError(), Scaled()), "loss needs 3 values, not Array(2)"),
    ],
)
def test_terms_that_do_not_fit_raise_value_error(terms, message):
    assert value_error(check_terms, terms, Array((2,))).startswith(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": -1.0}, "weight must be 0 or more, not -1.0"),
        ({"start": -1}, "start must be 0 or more, not -1"),
    ],
)
def test_option_out_of_range_raises_value_error(options, message):
    assert value_error(SquaredError, **options) == message
