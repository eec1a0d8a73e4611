"""A pipeline composes its parts, and can be a part of another one."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.autoencoder import Autoencoder
from regen_jax.abstractions.image.downsample import Downsample
from regen_jax.config.assembly import make_generator
from regen_jax.errors import UserError
from regen_jax.generators.composite import part_variables
from regen_jax.generators.pipeline import Pipeline
from regen_jax.generators.regression import Regression
from regen_jax.interfaces import Abstraction, Generator, LossOutput
from regen_jax.networks.dit import DiTOptions
from regen_jax.spaces import Array, Category

SOURCE, TARGET = Category(3), Array((4, 4, 1), 0, 1)
HALF = Array((2, 2, 1), 0, 1)
TINY = {"width": 8, "num_layers": 1, "num_heads": 2}
DIT = {"name": "dit"} | TINY
SECTION = {
    "name": "pipeline",
    "abstraction": {"name": "downsample", "factor": 2},
    "prior": {"name": "regression", "network": DIT},
    "decoder": {"name": "regression", "network": DIT | {"patch": 2}},
}


@dataclasses.dataclass(frozen=True)
class Counting(Generator):
    """Draws noise around one learned number; counts the examples that trained it.

    Adds the mean of the source, weighted.
    """

    source_space: Array
    target_space: Array
    weight: float = 0.0

    targets = (Array,)

    def init(self, rng):
        return {"params": {"mean": jnp.zeros(())}, "seen": jnp.zeros(())}

    def loss(self, variables, keys, source, target, train):
        error = target - self.mean(variables, source)
        loss = jnp.square(error).mean(axis=range(1, target.ndim))
        number, weight = jnp.float32(len(target)), jnp.arange(1.0, len(target) + 1)
        return LossOutput(
            loss, {"bias": loss}, {"number": number}, {}, {"loss": weight}
        )

    def sample(self, variables, keys, source):
        noise = jax.vmap(lambda key: jax.random.normal(key, self.target_space.shape))(
            keys
        )
        return noise + self.mean(variables, source)

    def mean(self, variables, source):
        mean = source.reshape(len(source), -1).mean(axis=1)
        mean = variables["params"]["mean"] + self.weight * mean
        return mean[:, None, None, None]

    def update(self, variables, rng, objective):
        assert set(objective.metrics) == {"bias"}
        assert set(objective.weights) >= {"loss"}
        return {**variables, "seen": variables["seen"] + objective.sums["number"]}


def from_section(section):
    return make_generator(
        {"decoder": section}, "config", "decoder", "its target", SOURCE, TARGET, TARGET
    )


PIPELINE = from_section(SECTION)


def random_variables(model):
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda p: rng.normal(0, 0.3, p.shape).astype(np.float32),
        jax.eval_shape(model.init, jax.random.key(0)),
    )


def test_section_builds_the_parts_it_names():
    assert PIPELINE.abstraction == Downsample(TARGET, 2)
    assert PIPELINE.prior == Regression(SOURCE, HALF, DiTOptions(**TINY))
    decoder = Regression(HALF, TARGET, DiTOptions(patch=2, **TINY))
    assert PIPELINE.decoder == decoder


def test_parts_do_what_they_do_alone():
    prior, decoder = Counting(SOURCE, HALF, 1.0), Counting(HALF, TARGET, 1.0)
    pipeline = Pipeline(SOURCE, TARGET, Downsample(TARGET, 2), prior, decoder)
    variables, source = random_variables(pipeline), jnp.arange(3)
    of_prior, of_decoder = (part_variables(variables, n) for n in ("prior", "decoder"))
    keys = jax.random.split(jax.random.key(1), 3)
    prior_keys, decoder_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
    target = jax.random.uniform(jax.random.key(2), (3, 4, 4, 1))

    target_prime = pipeline.abstraction.encode({}, target)
    losses = {
        "prior/loss": prior.loss(of_prior, keys, source, target_prime, False).loss,
        "decoder/loss": decoder.loss(
            of_decoder, keys, target_prime, target, False
        ).loss,
    }
    output = pipeline.loss(variables, keys, source, target, False)
    np.testing.assert_allclose(output.loss, sum(losses.values()), rtol=1e-5)
    for name, expected in losses.items():
        np.testing.assert_allclose(output.metrics[name], expected, rtol=1e-5)

    target_prime = prior.sample(of_prior, prior_keys, source)
    expected = decoder.sample(of_decoder, decoder_keys, target_prime)
    y = pipeline.sample(variables, keys, source)
    np.testing.assert_allclose(y, expected, atol=1e-6)


def test_pipelines_nest_and_keep_statistics_apart():
    halves = Downsample(TARGET, 2)
    inner = Pipeline(HALF, TARGET, halves, Counting(HALF, HALF), Counting(HALF, TARGET))
    outer = Pipeline(SOURCE, TARGET, halves, Counting(SOURCE, HALF), inner)
    variables = outer.init(jax.random.key(0))
    assert set(variables) == {"params", "seen"}
    assert set(variables["params"]["decoder"]) == {"prior", "decoder"}

    keys = jax.random.split(jax.random.key(1), 5)
    target = jnp.ones((5, *TARGET.shape))
    output = outer.loss(variables, keys, jnp.zeros(5, int), target, True)
    np.testing.assert_allclose(output.loss, 3)
    assert {"prior/bias", "decoder/prior/bias", "decoder/decoder/loss"} < set(
        output.metrics
    )
    weights = {
        name: float(weight) for name, (_, weight) in output.weighted_sums().items()
    }
    assert weights["loss"] == weights["prior/bias"] == weights["decoder/loss"] == 5
    assert weights["prior/loss"] == weights["decoder/prior/loss"] == 1 + 2 + 3 + 4 + 5
    updated = outer.update(variables, jax.random.key(2), output)
    jax.tree.map(lambda seen: np.testing.assert_equal(float(seen), 5), updated["seen"])
    assert jax.tree.structure(updated) == jax.tree.structure(variables)

    sample = jax.jit(outer.sample)
    y = sample(variables, keys, jnp.zeros(5, int))
    swapped = sample(variables, keys[::-1], jnp.zeros(5, int))
    np.testing.assert_allclose(y, swapped[::-1], atol=1e-6)
    assert np.abs(y[0] - y[1]).min() > 0


@dataclasses.dataclass(frozen=True)
class Halved(Abstraction):
    """An invertible rule."""

    input_space: Array

    @property
    def output_space(self):
        return self.input_space

    def encode(self, variables, y):
        return y / 2

    def decode(self, variables, y_prime):
        return 2 * y_prime


def test_pipeline_without_decoder_inverts_its_abstraction():
    pipeline = Pipeline(SOURCE, TARGET, Halved(TARGET), Counting(SOURCE, TARGET))
    variables = pipeline.init(jax.random.key(0))
    keys, source = jax.random.split(jax.random.key(1), 2), jnp.zeros(2, int)
    prior_keys = jax.vmap(jax.random.split, out_axes=1)(keys)[0]
    prior = part_variables(variables, "prior")
    expected = 2 * pipeline.prior.sample(prior, prior_keys, source)
    np.testing.assert_allclose(pipeline.sample(variables, keys, source), expected)
    output = pipeline.loss(variables, keys, source, jnp.ones((2, 4, 4, 1)), True)
    np.testing.assert_allclose(output.loss, 0.25)
    np.testing.assert_allclose(output.weighted_sums()["loss"], [0.75, 3])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decoder": None}, "config.decoder lacks ['decoder']; it needs abstraction"),
        (
            {"size": 3},
            (
                "config.decoder.size is not an option of Pipeline; known are abstraction, "
                "prior, decoder"
            ),
        ),
        ({"prior": 3}, "config.decoder.prior must be a section"),
        (
            {"prior": {"name": "autoregressive"}},
            (
                "config.decoder: prior 'autoregressive' generates Tokens, but abstraction "
                "'downsample' gives Array(2, 2, 1): use prior 'diffusion' or 'nearest' or"
            ),
        ),
        (
            {"decoder": {"name": "inverse"}},
            "config.decoder: decoder 'inverse' needs an inverse",
        ),
        (
            {"decoder": {"name": "regression", "network": DIT | {"patch": 3}}},
            "config.decoder.decoder: patch 3 does not divide",
        ),
        (
            {"abstraction": {"name": "autoencoder"}}
            | {"prior": {"name": "autoregressive"}, "decoder": {"name": "inverse"}},
            (
                "config.decoder: the abstraction of a pipeline must be a rule that runs on "
                "devices, such as 'mel', and Autoencoder is learned"
            ),
        ),
    ],
)
def test_section_that_does_not_fit_raises_user_error(changes, message):
    section = {k: v for k, v in (SECTION | changes).items() if v is not None}
    with pytest.raises(UserError) as error:
        from_section(section)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_learned_abstraction_raises_value_error():
    with pytest.raises(ValueError, match="Autoencoder is learned"):
        Pipeline(SOURCE, TARGET, Autoencoder(TARGET), PIPELINE.prior)
