"""A pipeline is its parts, each as it would be alone, and can be a part itself."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.autoencoder import Autoencoder
from regen_jax.abstractions.image.downsample import Downsample
from regen_jax.config.registry import instantiate
from regen_jax.errors import UserError
from regen_jax.generators.pipeline import Pipeline
from regen_jax.generators.regression import Regression
from regen_jax.interfaces import Abstraction, Generator, LossOutput
from regen_jax.spaces import Array, Category

SOURCE, TARGET = Category(3), Array((4, 4, 1), 0, 1)
HALF = Array((2, 2, 1), 0, 1)
TINY = {"width": 8, "num_layers": 1, "num_heads": 2}
SECTION = {
    "name": "pipeline",
    "abstraction": {"name": "downsample", "factor": 2},
    "prior": {"name": "regression"} | TINY,
    "decoder": {"name": "regression", "patch": 2} | TINY,
}


@dataclasses.dataclass(frozen=True)
class Counting(Generator):
    """Noise about one learned number; counts the examples that it has seen."""

    source_space: Array
    target_space: Array

    targets = (Array,)

    def init(self, rng):
        return {"params": {"mean": jnp.zeros(())}, "seen": jnp.zeros(())}

    def loss(self, variables, keys, a, b, train):
        error = b - variables["params"]["mean"]
        loss = jnp.square(error).mean(axis=range(1, b.ndim))
        number, weight = jnp.float32(len(b)), jnp.arange(1.0, len(b) + 1)
        return LossOutput(
            loss, {"bias": loss}, {"number": number}, {}, {"loss": weight}
        )

    def sample(self, variables, keys, a):
        noise = jax.vmap(lambda key: jax.random.normal(key, self.target_space.shape))(
            keys
        )
        return noise + variables["params"]["mean"]

    def update(self, variables, rng, objective):
        assert set(objective.metrics) == {"bias"}
        assert set(objective.weights) >= {"loss"}
        return {**variables, "seen": variables["seen"] + objective.sums["number"]}


PIPELINE = instantiate(
    Pipeline, SECTION, "config.decoder", source_space=SOURCE, target_space=TARGET
)


def random_variables(model):
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda p: rng.normal(0, 0.3, p.shape).astype(np.float32),
        jax.eval_shape(model.init, jax.random.key(0)),
    )


def of(variables, name):
    return {"params": variables["params"][name]}


def test_a_section_makes_the_parts():
    assert PIPELINE.abstraction == Downsample(TARGET, 2)
    assert PIPELINE.prior == Regression(SOURCE, HALF, **TINY)
    assert PIPELINE.decoder == Regression(HALF, TARGET, patch=2, **TINY)


def test_its_parts_do_what_they_do_alone():
    variables, a = random_variables(PIPELINE), jnp.arange(3)
    keys = jax.random.split(jax.random.key(1), 3)
    b = jax.random.uniform(jax.random.key(2), (3, 4, 4, 1))
    b_prime = PIPELINE.abstraction.encode({}, b)

    prior, decoder = of(variables, "prior"), of(variables, "decoder")
    found = PIPELINE.loss(variables, keys, a, b, False)
    first = PIPELINE.prior.loss(prior, keys, a, b_prime, False).loss
    second = PIPELINE.decoder.loss(decoder, keys, b_prime, b, False).loss
    np.testing.assert_allclose(found.loss, first + second, rtol=1e-5)
    np.testing.assert_allclose(found.metrics["prior/loss"], first, rtol=1e-5)
    np.testing.assert_allclose(found.metrics["decoder/loss"], second, rtol=1e-5)

    expected = PIPELINE.decoder.sample(
        decoder, keys, PIPELINE.prior.sample(prior, keys, a)
    )
    y = PIPELINE.sample(variables, keys, a)
    np.testing.assert_allclose(y, expected, atol=1e-6)


def test_pipelines_nest_and_keep_statistics_apart():
    halves = Downsample(TARGET, 2)
    inner = Pipeline(HALF, TARGET, halves, Counting(HALF, HALF), Counting(HALF, TARGET))
    outer = Pipeline(SOURCE, TARGET, halves, Counting(SOURCE, HALF), inner)
    variables = outer.init(jax.random.key(0))
    assert set(variables) == {"params", "seen"}
    assert set(variables["params"]["decoder"]) == {"prior", "decoder"}

    keys, b = jax.random.split(jax.random.key(1), 5), jnp.ones((5, *TARGET.shape))
    objective = outer.loss(variables, keys, jnp.zeros(5, int), b, True)
    np.testing.assert_allclose(objective.loss, 3)
    assert {"prior/bias", "decoder/prior/bias", "decoder/decoder/loss"} < set(
        objective.metrics
    )
    weights = {
        name: float(weight) for name, (_, weight) in objective.weighted_sums().items()
    }
    assert weights["loss"] == weights["prior/bias"] == weights["decoder/loss"] == 5
    assert weights["prior/loss"] == weights["decoder/prior/loss"] == 1 + 2 + 3 + 4 + 5
    updated = outer.update(variables, jax.random.key(2), objective)
    jax.tree.map(lambda seen: np.testing.assert_equal(float(seen), 5), updated["seen"])
    assert jax.tree.structure(updated) == jax.tree.structure(variables)

    y = outer.sample(variables, keys, jnp.zeros(5, int))
    alone = outer.sample(variables, keys[:2], jnp.zeros(2, int))
    np.testing.assert_allclose(y[:2], alone, atol=1e-6)
    assert np.abs(y[0] - y[1]).min() > 0


@dataclasses.dataclass(frozen=True)
class Halved(Abstraction):
    """A rule with a way back."""

    input_space: Array

    @property
    def output_space(self):
        return self.input_space

    def encode(self, variables, y):
        return y / 2

    def decode(self, variables, y_prime):
        return 2 * y_prime


def test_the_inverse_is_a_decoder():
    pipeline = Pipeline(SOURCE, TARGET, Halved(TARGET), Counting(SOURCE, TARGET))
    variables = pipeline.init(jax.random.key(0))
    keys, a = jax.random.split(jax.random.key(1), 2), jnp.zeros(2, int)
    prior_keys = jax.vmap(jax.random.split, out_axes=1)(keys)[0]
    expected = 2 * pipeline.prior.sample(of(variables, "prior"), prior_keys, a)
    np.testing.assert_allclose(pipeline.sample(variables, keys, a), expected)
    objective = pipeline.loss(variables, keys, a, jnp.ones((2, 4, 4, 1)), True)
    np.testing.assert_allclose(objective.loss, 0.25)
    np.testing.assert_allclose(objective.weighted_sums()["loss"], [0.75, 3])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decoder": None}, "config.decoder lacks ['decoder']; it needs abstraction"),
        ({"size": 3}, "config.decoder has unknown ['size']"),
        ({"prior": 3}, "config.decoder.prior must be a section"),
        (
            {"prior": {"name": "autoregressive"}},
            (
                "config.decoder: prior 'autoregressive' generates Tokens, but abstraction "
                "'downsample' gives Array(2, 2, 1): use prior 'diffusion' or 'regression'"
            ),
        ),
        (
            {"decoder": {"name": "inverse"}},
            "config.decoder: decoder 'inverse' needs a way back",
        ),
        (
            {"decoder": {"name": "regression", "patch": 3}},
            "config.decoder.decoder: patch 3 does not divide",
        ),
        (
            {"abstraction": {"name": "autoencoder", "widths": [4]}}
            | {"prior": {"name": "autoregressive"}, "decoder": {"name": "inverse"}},
            (
                "config.decoder: the abstraction of a pipeline must be a rule that runs on "
                "devices, such as 'mel', and Autoencoder is learned"
            ),
        ),
    ],
)
def test_sections_that_do_not_fit_are_refused_in_one_line(changes, message):
    section = {k: v for k, v in (SECTION | changes).items() if v is not None}
    with pytest.raises(UserError) as error:
        instantiate(
            Pipeline,
            section,
            "config.decoder",
            source_space=SOURCE,
            target_space=TARGET,
        )
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_learned_abstractions_are_refused():
    with pytest.raises(ValueError, match="Autoencoder is learned"):
        abstraction = Autoencoder(TARGET, widths=(4,))
        Pipeline(SOURCE, TARGET, abstraction, PIPELINE.prior)
