"""Samples that are not finite, which no metric and no picture would show."""

import dataclasses
import types

import numpy as np
import pytest

from regen_jax.abstractions.identity import Identity
from regen_jax.errors import UserError
from regen_jax.evaluation import inference
from regen_jax.evaluation.inference import TrainedPipeline
from regen_jax.interfaces import Generator
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import Array, Padded

SPACE = Array((2,), 0.0, 255.0)


@dataclasses.dataclass(frozen=True)
class Quotient(Generator):
    """Divides by the source: 0 has a quotient that is not finite."""

    targets = (Array,)

    source_space: Array
    target_space: Array

    def init(self, rng):
        return {"params": {}}

    def loss(self, variables, keys, source, target, train):
        raise NotImplementedError

    def sample(self, variables, keys, source):
        return source / source


@dataclasses.dataclass(frozen=True)
class Copy(Quotient):
    """Returns the source."""

    def sample(self, variables, keys, source):
        return source


BYTES = types.SimpleNamespace(postprocess=lambda y: np.clip(y, 0, 255).astype(np.uint8))
VARIABLES = {name: {"params": {}} for name in ("prior", "decoder")}
VALUES = np.array([[1, 2], [0, 3], [4, 5]], np.float32)


def pipeline(prior, decoder) -> Regeneration:
    return Regeneration(
        Identity(SPACE), Identity(SPACE), prior(SPACE, SPACE), decoder(SPACE, SPACE)
    )


def test_y_prime_that_is_not_finite_raises_user_error():
    trained = TrainedPipeline(BYTES, pipeline(Quotient, Copy), VARIABLES)
    message = "^1 of 3 samples of Y′ are not finite: train with a lower learning rate"
    with pytest.raises(UserError, match=message):
        trained.sample({"x": VALUES})
    _, y = trained.sample({"x": VALUES[[0, 2]]})
    assert y.tolist() == [[1, 1], [1, 1]]


def test_y_that_is_not_finite_raises_user_error():
    trained = TrainedPipeline(BYTES, pipeline(Copy, Quotient), VARIABLES)
    message = "^1 of 3 samples of Y are not finite: "
    calls = (
        lambda: trained.sample({"x": VALUES}),
        lambda: trained.decode(VALUES),
        lambda: trained.decode_true({"y": VALUES}),
    )
    for call in calls:
        with pytest.raises(UserError, match=message):
            call()


def test_padding_and_ids_are_not_checked():
    values = np.array([[[1.0], [np.nan]], [[2.0], [np.inf]]], np.float32)
    padded = Padded(values, np.array([1, 0]))
    same = types.SimpleNamespace(postprocess=lambda y: y)
    assert inference._postprocessed(same, padded) is padded
    ids = np.array([[1, 2]])
    assert inference._postprocessed(same, ids) is ids
    with pytest.raises(UserError, match="^1 of 2 samples of Y are not finite: "):
        inference._postprocessed(same, padded._replace(length=np.array([1, 2])))
