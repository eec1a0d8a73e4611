"""The perceptual loss: distances by hand, and where its network comes from."""

import dataclasses

import flax.serialization
import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from regen_jax.abstractions.autoencoder import Autoencoder
from regen_jax.abstractions.bottlenecks.kl import KL
from regen_jax.abstractions.networks.conv2d import Conv2dNetworks
from regen_jax.errors import UserError
from regen_jax.judges.image_classifier import ImageClassifier
from regen_jax.losses.perceptual import Perceptual, feature_distance
from regen_jax.losses.squared_error import SquaredError
from regen_jax.networks.features.convnet import ConvNetFeatures
from regen_jax.spaces import Array, Category

SPACE = Array((8, 8, 1), 0.0, 255.0)
RNG = np.random.default_rng(0)
IMAGES, OTHERS = RNG.uniform(-1, 1, (2, 3, *SPACE.shape)).astype(np.float32)
TERM = Perceptual(0.5)


@pytest.fixture(scope="module")
def judge() -> dict:
    """Variables of a judge of the images."""
    classifier = ImageClassifier(Category(4), SPACE)
    return jax.jit(classifier.init)(jax.random.key(0), np.zeros(3, np.int32), IMAGES)


def test_distance_is_that_of_unit_vectors():
    a, b = RNG.normal(size=(2, 3, 4, 5, 6)).astype(np.float32)
    units = [x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b)]
    expected = np.square(units[0] - units[1]).sum(axis=-1).mean(axis=(1, 2))
    np.testing.assert_allclose(feature_distance(a, 7 * b), expected, rtol=1e-5)


def test_loss_is_the_sum_over_layers_of_the_judge(judge):
    params = TERM.pretrained(SPACE, {"judge": judge})
    compute = jax.jit(lambda x, y: TERM(params, SPACE, x, y))
    result = compute(IMAGES, OTHERS)
    pairs = zip(
        TERM.network.features(params, IMAGES),
        TERM.network.features(params, OTHERS),
        strict=True,
    )
    expected = sum(feature_distance(*pair) for pair in pairs)
    np.testing.assert_allclose(result.loss, expected, rtol=1e-5)
    np.testing.assert_array_equal(result.loss, result.metrics["perceptual_loss"])
    assert np.all(result.loss > 0.01) and not np.any(compute(IMAGES, IMAGES).loss)


def test_loss_of_clips_is_the_mean_over_frames(judge):
    space = Array((3, *SPACE.shape), 0.0, 255.0)
    TERM.check(space)
    params = TERM.pretrained(space, {"judge": judge})
    compute = jax.jit(
        lambda space, x, y: TERM(params, space, x, y).loss, static_argnums=0
    )
    frames = compute(SPACE, IMAGES, OTHERS)
    clips = compute(space, IMAGES[None], OTHERS[None])
    np.testing.assert_allclose(clips, [frames.mean()], rtol=1e-5)


def test_network_stands_in_the_variables_and_is_not_trained(judge):
    model = Autoencoder(SPACE, Conv2dNetworks((4,), 0), KL(2), (SquaredError(), TERM))
    assert model.starts_pretrained
    shapes = jax.eval_shape(model.init, jax.random.key(0), IMAGES)
    pretrained = model.pretrained({"judge": judge})
    assert set(pretrained) == {"pretrained"}
    same = jax.tree.map(lambda x: x.shape, pretrained["pretrained"])
    assert same == jax.tree.map(lambda x: x.shape, shapes["pretrained"])
    assert "losses" not in shapes["params"]
    plain = dataclasses.replace(model, losses=(SquaredError(), Perceptual(0.0)))
    assert not plain.starts_pretrained and plain.pretrained({}) == {}


@pytest.mark.parametrize("suffix", [".npz", ".msgpack"])
def test_weights_of_a_file_are_those_of_the_stage(judge, tmp_path, suffix):
    path = tmp_path / f"judge{suffix}"
    if suffix == ".npz":
        np.savez(path, **flatten_dict(judge["params"], sep="/"))
    else:
        path.write_bytes(flax.serialization.to_bytes(judge))
    stored = Perceptual(weights=str(path)).pretrained(SPACE, {})
    expected = TERM.pretrained(SPACE, {"judge": judge})
    jax.tree.map(np.testing.assert_array_equal, stored, expected)


def test_weights_that_do_not_fit_raise_user_error(judge, tmp_path):
    def message(term: Perceptual, stages: dict) -> str:
        with pytest.raises(UserError) as error:
            term.pretrained(SPACE, stages)
        return str(error.value)

    assert message(Perceptual(stage="teacher"), {"judge": judge}).startswith(
        "loss 'perceptual' reads stage 'teacher', but earlier stages are judge: name "
    )
    narrow = Perceptual(network=ConvNetFeatures(width=8))
    assert message(narrow, {"judge": judge}).startswith(
        "loss 'perceptual': stage 'judge' has Conv_0/bias of shape (24,), but the "
        "network needs (4,): check"
    )
    shapes = {"judge": jax.eval_shape(lambda: judge)}
    assert message(narrow, shapes) == message(narrow, {"judge": judge})

    path = tmp_path / "weights.npz"
    np.savez(path, **{"Conv_0/kernel": judge["params"]["Conv_0"]["kernel"]})
    assert message(Perceptual(weights=str(path)), {}) == (
        f"loss 'perceptual': {path} has no Conv_0/bias, of shape (24,): there are "
        "Conv_0/kernel"
    )
    path.write_bytes(b"no archive")
    assert "cannot be read" in message(Perceptual(weights=str(path)), {})
    other = tmp_path / "weights.pt"
    assert message(Perceptual(weights=str(other)), {}) == (
        f"loss 'perceptual': weights={other} must be a file .npz or .msgpack"
    )
    absent = tmp_path / "absent.msgpack"
    assert "cannot be read: " in message(Perceptual(weights=str(absent)), {})
    absent.write_bytes(b"\x93")
    assert "cannot be read: " in message(Perceptual(weights=str(absent)), {})


@pytest.mark.parametrize(
    "space", [Array((8, 8)), Array((8, 8, 1), 0.0, 1.0, padded=True)]
)
def test_space_without_images_raises_value_error(space):
    with pytest.raises(ValueError, match="feature network 'convnet' reads images"):
        TERM.check(space)
