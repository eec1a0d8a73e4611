import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.identity import Identity
from regen_jax.interfaces import Abstraction, Generator, LossOutput, Variables
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import Array, Category


@dataclasses.dataclass(frozen=True)
class Scale(Abstraction):
    """Y times the factor in its variables."""

    input_space: Array

    @property
    def output_space(self) -> Array:
        return self.input_space

    def encode(self, variables: Variables, y: jax.Array) -> jax.Array:
        assert y.dtype == jnp.float32
        return variables["factor"] * y

    def decode(self, variables: Variables, y_prime: jax.Array) -> jax.Array:
        return y_prime / variables["factor"]


@dataclasses.dataclass(frozen=True)
class Bucket(Abstraction):
    """X, a class, as the size of its bucket: a representation with a variable."""

    input_space: Category

    @property
    def output_space(self) -> Array:
        return Array((1,))

    def encode(self, variables: Variables, y: jax.Array) -> jax.Array:
        return variables["sizes"][y][:, None]


@dataclasses.dataclass(frozen=True)
class Normal(Generator):
    """b ~ N(mean of a + shift, 1), independently in each value."""

    source_space: Array
    target_space: Array

    targets = (Array,)
    has_log_prob = True

    def init(self, rng: jax.Array) -> Variables:
        return {"shift": jnp.zeros(())}

    def loss(self, variables, keys, a, b, train) -> LossOutput:
        return LossOutput(-self.log_prob(variables, a, b))

    def sample(self, variables: Variables, keys: jax.Array, a: jax.Array) -> jax.Array:
        noise = jax.vmap(lambda key: jax.random.normal(key, self.target_space.shape))(
            keys
        )
        return noise + self._mean(variables, a)[:, None]

    def log_prob(self, variables: Variables, a: jax.Array, b: jax.Array) -> jax.Array:
        apart = b - self._mean(variables, a)[:, None]
        return jnp.sum(-0.5 * apart**2 - 0.5 * jnp.log(2 * jnp.pi), axis=1)

    def _mean(self, variables: Variables, a: jax.Array) -> jax.Array:
        return a.reshape(len(a), -1).mean(axis=1) + variables["shift"]


X, Y, X_PRIME = Category(3), Array((2,)), Array((1,))
WHOLE = Regeneration(Bucket(X), Scale(Y), Normal(X_PRIME, Y), decoder=Normal(Y, Y))
INVERSE = dataclasses.replace(WHOLE, decoder=None)
VARIABLES = {
    "source": {"sizes": jnp.array([10.0, 20.0, 40.0])},
    "abstraction": {"factor": 4.0},
    "prior": {"shift": 0.5},
    "decoder": {"shift": -100.0},
}
# Data travel in their own dtype.
x = np.array([0, 2, 1, 2, 0], np.int64)
y = np.array([[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]], np.uint8)
KEYS = jax.random.split(jax.random.key(0), 5)

generate = jax.jit(Regeneration.generate, static_argnums=0)


def test_represent_and_encode_cast_and_apply_the_parts():
    np.testing.assert_array_equal(
        WHOLE.represent(VARIABLES, {"x": x}), [[10], [40], [20], [40], [10]]
    )
    np.testing.assert_array_equal(WHOLE.encode(VARIABLES, {"y": y}), 4.0 * y)


def test_decode_uses_the_decoder_or_inverts_the_abstraction():
    y_prime = jnp.asarray(4.0 * y)
    np.testing.assert_array_equal(INVERSE.decode(VARIABLES, KEYS, y_prime), y)
    np.testing.assert_array_equal(INVERSE.reconstruct(VARIABLES, KEYS, {"y": y}), y)
    decoded = WHOLE.decode(VARIABLES, KEYS, y_prime)
    expected = WHOLE.decoder.sample({"shift": -100.0}, KEYS, y_prime)
    np.testing.assert_array_equal(decoded, expected)
    np.testing.assert_array_equal(WHOLE.reconstruct(VARIABLES, KEYS, {"y": y}), decoded)


def test_generate_composes_prior_and_decoder_on_keys_of_their_own():
    y_prime, found = generate(WHOLE, VARIABLES, KEYS, {"x": x})
    assert y_prime.shape == found.shape == (5, 2)
    # What is left after the means is the noise of each arrow.
    sizes = np.array([10.0, 40.0, 20.0, 40.0, 10.0])[:, None]
    prior_noise = y_prime - (sizes + 0.5)
    decoder_noise = found - (np.mean(y_prime, axis=1, keepdims=True) - 100)
    for noise in (prior_noise, decoder_noise):
        assert np.abs(noise).max() < 5 and len(np.unique(np.round(noise, 4))) == 10
    assert np.abs(prior_noise - decoder_noise).min() > 1e-3
    np.testing.assert_allclose(
        generate(INVERSE, VARIABLES, KEYS, {"x": x})[1], y_prime / 4, rtol=1e-6
    )


def test_sample_does_not_depend_on_its_batch():
    whole = generate(WHOLE, VARIABLES, KEYS, {"x": x})
    parts = [
        generate(WHOLE, VARIABLES, KEYS[i : i + 1], {"x": x[i : i + 1]})
        for i in range(5)
    ]
    for found, expected in zip(zip(*parts, strict=True), whole, strict=True):
        np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-6)


def test_log_prob_is_that_of_the_abstraction_given_the_representation():
    found = WHOLE.log_prob(VARIABLES, {"x": x, "y": y})
    sizes = np.array([10.0, 40.0, 20.0, 40.0, 10.0])[:, None]
    apart = 4.0 * y - sizes - 0.5
    expected = np.sum(-0.5 * apart**2 - 0.5 * np.log(2 * np.pi), axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_parts_that_are_not_learned_need_no_variables():
    direct = Regeneration(Identity(Y), Identity(Y), Normal(Y, Y))
    variables = {"prior": {"shift": 0.0}}
    y_prime, found = direct.generate(variables, KEYS, {"x": np.float32(y)})
    np.testing.assert_array_equal(y_prime, found)
    np.testing.assert_array_equal(direct.represent(variables, {"x": y}), y)
    np.testing.assert_array_equal(direct.reconstruct(variables, KEYS, {"y": y}), y)


def test_log_prob_of_a_generator_without_likelihood_raises_not_implemented_error():
    class Sampler(Normal):
        log_prob = Generator.log_prob

    parts = Regeneration(Identity(Y), Identity(Y), Sampler(Y, Y))
    with pytest.raises(NotImplementedError, match="Sampler has no exact likelihood"):
        parts.log_prob({"prior": {}}, {"x": y, "y": y})


def test_value_outside_its_space_raises_assertion_error(monkeypatch):
    # Without the checks of tests/shapes.py, which come before those of the pipeline.
    monkeypatch.delattr(Abstraction, "__init_subclass__")
    monkeypatch.delattr(Generator, "__init_subclass__")

    class Flat(Bucket):
        def encode(self, variables: Variables, y: jax.Array) -> jax.Array:
            return variables["sizes"][y]

    class Rounded(Scale):
        def encode(self, variables: Variables, y: jax.Array) -> jax.Array:
            return jnp.round(y).astype(jnp.int32)

    class Halved(Normal):
        def sample(self, variables, keys, a) -> jax.Array:
            return super().sample(variables, keys, a)[:, :1]

    flat = dataclasses.replace(WHOLE, source=Flat(X))
    with pytest.raises(AssertionError, match=r"x′ of Flat: Array\(1\)"):
        flat.represent(VARIABLES, {"x": x})
    with pytest.raises(AssertionError, match="int32"):
        dataclasses.replace(WHOLE, abstraction=Rounded(Y)).encode(VARIABLES, {"y": y})
    halved = dataclasses.replace(WHOLE, prior=Halved(X_PRIME, Y))
    with pytest.raises(AssertionError, match=r"Y′ of the prior: Array\(2\)"):
        halved.generate(VARIABLES, KEYS, {"x": x})
