"""How each field of a record enters a network: channels, tokens or a vector."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.networks.conditioning.interface import Condition
from regen_jax.networks.conditioning.record import (
    RecordConditioning,
    join_conditions,
    mechanism,
)
from regen_jax.networks.conditioning.spatial import (
    determines_length,
    resize_condition,
    target_estimate,
    target_length,
)
from regen_jax.networks.embeddings import (
    SourceEmbedding,
    field_lengths,
    source_length,
    source_mask,
)
from regen_jax.spaces import Array, Category, Padded, Record, Tokens, zeros
from tests.networks.parameters import random_variables

TRACKS = Array((4, 3), padded=True)
CLIP = Array((4, 6, 6, 1), 0, 2, padded=True)
SPEECH = Array((8, 2), padded=True)
PICTURE = Array((12, 16, 3), 0, 255)
SOURCE = Record((("speech", SPEECH), ("picture", PICTURE), ("name", Category(3))))


def encoder(source_space, target_space, pictures="vector"):
    conditioning = RecordConditioning(pictures)
    return conditioning.module(source_space, target_space, 8, jnp.float32)


@pytest.mark.parametrize(
    ("field", "target_space", "expected"),
    [
        (SPEECH, TRACKS, "spatial"),
        (SPEECH, CLIP, "spatial"),
        (Array((2, 5)), TRACKS, "spatial"),
        (Array((3, 3, 1)), CLIP, "spatial"),
        (Array((4, 6, 6, 1), padded=True), CLIP, "spatial"),
        (Array((5,)), TRACKS, "spatial"),
        (Array((3, 2), padded=True), TRACKS, "tokens"),
        (SPEECH, Array((4, 3)), "tokens"),
        (PICTURE, TRACKS, "picture"),
        (PICTURE, Array((12, 16, 1)), "spatial"),
        (Array((2, 2, 3)), TRACKS, "tokens"),
        (Category(3), TRACKS, "tokens"),
        (Tokens(3, 5, padded=True), CLIP, "tokens"),
    ],
)
def test_field_enters_by_the_mechanism_of_its_space(field, target_space, expected):
    assert mechanism(field, target_space) == expected


def test_steps_of_a_frame_join_its_channels_without_padding():
    values = np.arange(16.0).reshape(1, 8, 2)
    source = Padded(jnp.asarray(values), jnp.array([5]))
    channels = resize_condition(SPEECH, TRACKS, source)
    expected = values.copy()
    expected[:, 5:] = 0
    np.testing.assert_array_equal(channels, expected.reshape(1, 4, 4))
    assert determines_length(SPEECH, TRACKS)
    np.testing.assert_array_equal(target_length(SPEECH, TRACKS, source), [3])
    on_clip = resize_condition(SPEECH, CLIP, source)
    assert on_clip.shape == (1, 4, 6, 6, 4)
    np.testing.assert_array_equal(on_clip[:, :, 2, 5], channels)


def test_step_of_several_frames_is_repeated():
    coarse = Array((2, 1), padded=True)
    source = Padded(jnp.array([[[3.0], [7.0]]]), jnp.array([1]))
    channels = resize_condition(coarse, TRACKS, source)
    np.testing.assert_array_equal(channels[0, :, 0], [3, 3, 0, 0])
    np.testing.assert_array_equal(target_length(coarse, TRACKS, source), [2])


def test_picture_beside_a_clip_is_its_estimate_in_each_frame():
    space = Record((("speech", SPEECH), ("picture", Array((3, 6, 1), 0, 2))))
    picture = jnp.linspace(0.0, 2.0, 18).reshape(1, 3, 6, 1)
    source = {"speech": zeros(SPEECH, 1), "picture": picture}
    estimate = target_estimate(space, CLIP, source)
    expected = jax.image.resize(picture - 1, (1, 6, 6, 1), "linear")
    for frame in range(4):
        np.testing.assert_allclose(estimate.mean[:, frame], expected, atol=1e-6)
    assert target_estimate(SOURCE, TRACKS, zeros(SOURCE, 1)) is None


def test_conditions_are_joined():
    def condition(value, length, channels, frames):
        return Condition(
            jnp.full((1, 2), value),
            jnp.full((1, length, 2), value),
            None if length == 1 else jnp.array([[True, False]]),
            jnp.full((1, 4, channels), value),
            jnp.arange(4)[None] < frames,
        )

    plain = Condition(jnp.ones((1, 2)))
    joined = join_conditions([condition(2.0, 1, 1, 3), plain, condition(4.0, 2, 2, 2)])
    np.testing.assert_array_equal(joined.vector, [[7, 7]])
    np.testing.assert_array_equal(joined.tokens[0, :, 0], [2, 4, 4])
    np.testing.assert_array_equal(joined.token_mask, [[True, True, False]])
    np.testing.assert_array_equal(joined.channels[0, 0], [2, 4, 4])
    np.testing.assert_array_equal(joined.frame_mask, [[True, True, False, False]])
    assert join_conditions([plain])[1:] == (None,) * 4


def random_source(seed):
    rng = np.random.default_rng(seed)
    return {
        "speech": Padded(
            jnp.asarray(rng.normal(size=(1, 8, 2)), jnp.float32), jnp.array([6])
        ),
        "picture": jnp.asarray(rng.uniform(0, 255, (1, 12, 16, 3)), jnp.float32),
        "name": jnp.asarray([seed % 3], jnp.int32),
    }


def test_each_field_has_an_influence_unless_the_source_is_dropped():
    module = encoder(SOURCE, TRACKS, "tokens")
    first, second = random_source(0), random_source(1)
    keep = jnp.zeros(1, bool)
    variables = random_variables(module, first, keep)
    apply = jax.jit(module.apply)
    condition = apply(variables, first, keep)
    dropped = apply(variables, first, ~keep)
    shapes = jax.tree.map(jnp.shape, condition)
    assert shapes.tokens == (1, 6 * 8, 8) and shapes.channels == (1, 4, 4)
    np.testing.assert_array_equal(condition.frame_mask, [[1, 1, 1, 0]])
    for name in SOURCE.spaces:
        changed = {**first, name: second[name]}
        other = apply(variables, changed, keep)
        entry = "channels" if name == "speech" else "vector"
        difference = getattr(other, entry) - getattr(condition, entry)
        assert np.abs(difference).max() > 1e-3
        without = apply(variables, changed, ~keep)
        jax.tree.map(np.testing.assert_array_equal, without, dropped)


def test_record_is_embedded_field_by_field():
    assert field_lengths(SOURCE, 2) == {"speech": 4, "picture": 48, "name": 1}
    assert source_length(SOURCE, 2) == 53
    source = random_source(0)
    mask = source_mask(SOURCE, source, 2)
    np.testing.assert_array_equal(mask[0, :5], [1, 1, 1, 0, 1])
    assert mask.all(axis=1).shape == (1,) and mask.sum() == 52
    embed = SourceEmbedding(SOURCE, 8, stride=2)
    keep = jnp.zeros(1, bool)
    vectors = jax.eval_shape(
        lambda: embed.init_with_output(jax.random.key(0), source, keep)
    )[0]
    assert vectors.shape == (1, 53, 8)


def test_other_source_than_a_record_raises_value_error():
    with pytest.raises(ValueError, match=r"needs a Record, not Category\(3\): use"):
        encoder(Category(3), TRACKS)
