"""Seam methods whose shapes or dtypes differ from their spaces fail in tests."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from regen_jax.abstractions.bottlenecks import fsq
from regen_jax.abstractions.bottlenecks.interface import Bottleneck
from regen_jax.abstractions.identity import Identity
from regen_jax.config.registry import registered_names, resolve_class
from regen_jax.interfaces import Abstraction, Generator, LossOutput
from regen_jax.spaces import Array, Category

KEYS = jax.random.split(jax.random.key(0), 2)
Y = jnp.zeros((2, 3, 1))


@dataclasses.dataclass(frozen=True)
class Rows(Abstraction):
    """Encodes y by a function of the test."""

    input_space: Array
    change: object

    output_space = Array((3, 1))

    def encode(self, variables, y):
        return self.change(y)

    def loss(self, variables, keys, y, train):
        return LossOutput(self.change(jnp.zeros(len(y))), {"error": jnp.zeros(len(y))})


@dataclasses.dataclass(frozen=True)
class Constant(Generator):
    """Returns values of the test as sample and likelihood."""

    source_space: Category
    target_space: Array
    result: jax.Array

    targets = (Array,)

    def init(self, rng):
        return {}

    def loss(self, variables, keys, a, b, train):
        return LossOutput(jnp.zeros(len(a)), {"error": self.result})

    def sample(self, variables, keys, a):
        return self.result

    def log_prob(self, variables, a, b):
        return self.result


@pytest.mark.parametrize(
    "base, method",
    [(Abstraction, "encode"), (Bottleneck, "apply"), (Generator, "sample")],
)
def test_methods_of_every_registered_part_are_checked(base, method):
    for name in registered_names(base):
        cls = resolve_class(base, name, "")
        if not getattr(cls, "runs_on_host", False):
            assert hasattr(getattr(cls, method), "__wrapped__"), name


@pytest.mark.parametrize(
    "change", [lambda y: y[:, :2], lambda y: y.astype(jnp.bfloat16), lambda y: y[0]]
)
def test_encode_outside_its_output_space_is_caught_while_traced(change):
    rows = Rows(Array((3, 1)), change)
    with pytest.raises(AssertionError):
        jax.eval_shape(rows.encode, {}, Y)


def test_argument_outside_the_input_space_is_caught():
    with pytest.raises(AssertionError, match=r"argument of Identity\.encode"):
        Identity(Array((3, 1))).encode({}, jnp.zeros((2, 4, 1)))


@pytest.mark.parametrize("change", [jnp.mean, lambda x: x.astype(jnp.bfloat16)])
def test_loss_that_is_no_float32_per_example_is_caught(change):
    rows = Rows(Array((3, 1)), change)
    with pytest.raises(AssertionError, match=r"loss of Rows\.loss"):
        rows.loss({}, KEYS, Y, True)


def test_parts_that_return_what_spaces_say_pass():
    rows = Rows(Array((3, 1)), lambda y: y)
    assert rows.encode({}, Y) is Y
    assert rows.loss({}, KEYS, Y, True).loss.shape == (2,)
    x = jnp.zeros(2, jnp.int32)
    assert Constant(Category(2), Array((3, 1)), Y).sample({}, KEYS, x) is Y


def test_generator_outside_its_target_space_is_caught():
    x = jnp.zeros(2, jnp.int32)
    generator = Constant(Category(2), Array((3, 1)), jnp.zeros((2, 1)))
    for call in (
        lambda: generator.sample({}, KEYS, x),
        lambda: generator.log_prob({}, x, Y),
        lambda: generator.loss({}, KEYS, x, Y, True),
    ):
        with pytest.raises(AssertionError, match="of Constant"):
            call()


@dataclasses.dataclass(frozen=True)
class Changed(fsq.FiniteScalarQuantizer):
    """Returns what a function of the test makes of a quantizer's output, or values."""

    levels: tuple[int, ...] = (5, 3)
    change: object = None

    def apply(self, state, keys, latents, mask, train):
        output = super().apply(state, keys, latents, mask, train)
        return output.replace(**self.change(output))

    def decode(self, state, codes):
        return self.change(super().decode(state, codes))


LATENTS = jnp.zeros((2, 6, 2))


@pytest.mark.parametrize(
    "words, change",
    [
        ("codes", lambda out: {"codes": out.codes[:, :3]}),
        ("float32 is not int32", lambda out: {"codes": out.codes.astype(jnp.float32)}),
        ("values", lambda out: {"values": out.values[..., :1]}),
        ("not float32", lambda out: {"values": out.values.astype(jnp.bfloat16)}),
        ("loss", lambda out: {"loss": jnp.zeros(())}),
        ("error", lambda out: {"metrics": {"error": jnp.zeros((2, 1))}}),
        ("no code_counts", lambda out: {"sums": {}}),
        ("kept of", lambda out: {"per_example": {"kept": jnp.zeros(3)}}),
    ],
)
def test_bottleneck_output_outside_its_seam_is_caught(words, change):
    bottleneck = Changed(change=change)
    with pytest.raises(AssertionError, match=words):
        bottleneck.apply({}, KEYS, LATENTS, None, True)
    assert Changed(change=lambda out: {}).apply({}, KEYS, LATENTS, None, True)


def test_values_of_other_channels_are_caught():
    codes = jnp.zeros((2, 6), jnp.int32)
    with pytest.raises(AssertionError, match=r"Changed\.decode"):
        Changed(change=lambda values: values[..., :1]).decode({}, codes)
