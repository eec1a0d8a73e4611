"""What generators made of parts do with all of them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.abstractions.image.downsample import Downsample
from regen_jax.generators.duration_aligned import DurationAligned, aligned_features
from regen_jax.generators.nearest import Nearest
from regen_jax.generators.pipeline import Pipeline
from regen_jax.generators.regression import Regression
from regen_jax.interfaces import Passes
from regen_jax.networks.dit import DiTOptions
from regen_jax.networks.duration_encoder import DurationEncoderOptions
from regen_jax.spaces import Array, Category, Padded, Tokens

RNG = np.random.default_rng(0)


def test_pipeline_of_retrievals_finalizes_both_from_the_same_pairs():
    space = Array((4, 4, 1), 0.0, 255.0, step=1.0)
    rule = Downsample(space, 2)
    half = rule.output_space
    parts = Nearest(Category(9), half, 16), Nearest(half, space, 16)
    pipeline = Pipeline(Category(9), space, rule, *parts)
    assert not pipeline.parametric
    classes = np.arange(9, dtype=np.int32)
    images = RNG.integers(0, 256, (9, *space.shape)).astype(np.float32)
    batches = [(classes[:5], images[:5]), (classes[5:], images[5:])]
    variables = pipeline.init(jax.random.key(0))
    variables = pipeline.finalize(variables, Passes(lambda: iter(batches)))
    keys = jax.random.split(jax.random.key(0), 9)
    drawn = pipeline.sample(variables, keys, classes)
    np.testing.assert_array_equal(drawn, images)


@dataclasses.dataclass(frozen=True)
class FeatureMean(Regression):
    """Keeps the mean of its source over the training examples."""

    def init(self, rng):
        return {**super().init(rng), "mean": {"features": jnp.zeros(())}}

    def finalize(self, variables, pairs):
        means = [jnp.mean(features.values) for features, _ in pairs]
        return {**variables, "mean": {"features": jnp.mean(jnp.stack(means))}}


def test_generator_is_finalized_on_aligned_features():
    source_space, target_space = Tokens(3, 5), Array((6, 2), -1, 1, padded=True)
    encoder = DurationEncoderOptions(width=8, num_layers=1)
    inner = FeatureMean(
        aligned_features(encoder, target_space),
        target_space,
        DiTOptions(width=8, num_layers=1, num_heads=2),
    )
    model = DurationAligned(source_space, target_space, inner, encoder)
    variables = jax.jit(model.init)(jax.random.key(0))
    values = RNG.uniform(-1, 1, (4, 6, 2)).astype(np.float32)
    source = RNG.integers(0, 5, (4, 3)).astype(np.int32)
    pair = source, Padded(values, np.full(4, 6, np.int32))
    finalized = model.finalize(variables, Passes(lambda: iter([pair])))
    features = jax.jit(model.align)(variables, *pair).features
    mean = finalized["mean"]["generator"]["features"]
    np.testing.assert_allclose(mean, features.values.mean(), rtol=1e-5)
    assert finalized["params"].keys() == variables["params"].keys()
