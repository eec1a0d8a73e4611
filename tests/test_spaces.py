import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regen_jax.spaces import (
    Array,
    Category,
    Padded,
    Record,
    Tokens,
    check,
    length_mask,
    lengths,
    mask_padding,
    to_dtype,
    zeros,
)
from tests.errors import value_error


@pytest.mark.parametrize(
    ("space", "shape", "dtype", "text"),
    [
        (Category(10), (), np.int32, "Category(10)"),
        (Tokens(7, 32), (7,), np.int32, "Tokens(7 of 32)"),
        (Tokens(7, 32, depth=3), (7, 3), np.int32, "Tokens(7 x 3 of 32)"),
        (Tokens(7, 32, padded=True), (7,), np.int32, "Tokens(7 of 32, padded)"),
        (Array((4, 5, 1)), (4, 5, 1), np.float32, "Array(4, 5, 1)"),
        (Array([9, 2], padded=True), (9, 2), np.float32, "Array(9, 2, padded)"),
    ],
)
def test_space_has_shape_dtype_and_description(space, shape, dtype, text):
    batch = zeros(space, 3)
    if isinstance(batch, Padded):
        batch, length = batch
        np.testing.assert_array_equal(length, [9, 9, 9])
    assert space.shape == shape and batch.shape == (3, *shape)
    assert batch.dtype == dtype and not batch.any()
    assert str(space) == text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Category(0), "Category needs a positive size, not 0"),
        (lambda: Tokens(0, 5), "Tokens needs a positive length, not 0"),
        (lambda: Tokens(4, -1), "Tokens needs a positive vocab, not -1"),
        (lambda: Tokens(4, 5, depth=0), "Tokens needs a positive depth, not 0"),
        (
            lambda: Tokens(4, 2**31),
            "Tokens have ids of 32 bits: 2147483648 are more than 2**31 - 1",
        ),
        (
            lambda: Tokens(4, 3, symbols=("a", "b")),
            "Tokens of 3 ids cannot have 2 symbols",
        ),
        (
            lambda: Tokens(4, 3, grid=(2, 3)),
            "Tokens of length 4 cannot be a grid of (2, 3)",
        ),
        (lambda: Array(()), "Array needs positive sizes, not ()"),
        (lambda: Array((3, 0)), "Array needs positive sizes, not (3, 0)"),
        (lambda: Array((3,), 1.0, 1.0), "Array needs low < high, not 1.0 and 1.0"),
        (lambda: Array((3,), math.nan), "Array needs low < high, not nan and inf"),
    ],
)
def test_invalid_space_raises_value_error(make, message):
    assert value_error(make) == message


def test_equal_spaces_are_equal_and_hash_alike():
    assert Array([2, 1], 0.0, 1.0) == Array((2, 1), 0.0, 1.0)
    assert len({Tokens(4, 5), Tokens(4, 5), Category(5)}) == 2
    assert Array((4, 5, 2)).size == 40


def test_to_dtype_keeps_values():
    image = np.array([[0, 128, 255]], np.uint8)
    value = to_dtype(Array((3,), 0.0, 255.0), image)
    assert value.dtype == jnp.float32
    np.testing.assert_array_equal(value, image)
    codes = to_dtype(Tokens(3, 300), image)
    assert codes.dtype == jnp.int32
    np.testing.assert_array_equal(codes, image)


@settings(max_examples=40, deadline=None)
@given(
    # XLA flushes subnormal numbers to 0.
    low=st.floats(-1e3, 1e3, width=32, allow_subnormal=False),
    width=st.floats(0.125, 1e3, width=32),
    unit=st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4),
)
def test_denormalize_inverts_normalize(low, width, unit):
    space = Array((4,), low, low + width)
    value = np.clip(low + width * np.array([unit]), space.low, space.high)
    normal = space.normalize(value)
    # Rounding to float32 is relative to the bounds, however narrow they are.
    slack = 1e-6 * (abs(low) + width)
    np.testing.assert_allclose(
        normal, 2 * (value - low) / width - 1, atol=4 * slack / width
    )
    back = np.asarray(space.denormalize(normal))
    np.testing.assert_allclose(back, value, atol=slack)
    assert np.all(back >= np.float32(space.low)) and back.dtype == np.float32
    assert np.all(back <= np.float32(space.high))


def test_bounds_normalize_to_one_and_clip_on_the_way_back():
    space = Array((2,), -3.0, 5.0)
    np.testing.assert_array_equal(space.normalize([[-3.0, 5.0]]), [[-1.0, 1.0]])
    outside = jnp.array([[-1.5, 1.5]])
    np.testing.assert_array_equal(space.denormalize(outside), [[-3.0, 5.0]])


@pytest.mark.parametrize("space", [Array((2,)), Array((2,), low=0.0)])
def test_space_without_bounds_is_not_normalized(space):
    value = jnp.array([[-7.0, 9.0]])
    assert not space.bounded
    np.testing.assert_array_equal(space.normalize(value), value)
    np.testing.assert_array_equal(space.denormalize(value), value)


@pytest.mark.parametrize(
    ("space", "value", "words"),
    [
        (Array((2, 1)), jnp.zeros((3, 2)), r"Y of a test: Array\(2, 1\)"),
        (Tokens(4, 9), jnp.zeros((3, 5), jnp.int32), r"Y of a test: Tokens\(4 of 9\)"),
        (Tokens(4, 9), jnp.zeros((3, 4)), "int32"),
    ],
)
def test_check_of_a_value_outside_its_space_raises_assertion_error(space, value, words):
    np.testing.assert_array_equal(
        check(space, zeros(space, 3), "Y of a test"), zeros(space, 3)
    )
    with pytest.raises(AssertionError, match=words):
        check(space, value, "Y of a test")


def test_length_of_padded_tokens_ends_at_the_first_0():
    tokens = np.array([[1, 2, 0, 3], [1, 2, 3, 4], [0, 0, 0, 0]])
    padded, whole = Tokens(4, 5, padded=True), Tokens(4, 5)
    np.testing.assert_array_equal(lengths(padded, tokens), [2, 4, 0])
    np.testing.assert_array_equal(lengths(whole, tokens), [4, 4, 4])
    stacks = Tokens(4, 5, depth=2, padded=True)
    pairs = np.stack([tokens, np.ones_like(tokens)], axis=-1)
    np.testing.assert_array_equal(lengths(stacks, pairs), [2, 4, 0])


def test_padded_value_keeps_its_length():
    space = Array((4, 1), padded=True)
    value = to_dtype(space, Padded(np.ones((2, 4, 1), np.int16), np.array([3, 1])))
    assert value.values.dtype == jnp.float32 and value.length.dtype == jnp.int32
    assert check(space, value, "it") is value
    np.testing.assert_array_equal(lengths(space, value), [3, 1])
    np.testing.assert_array_equal(
        length_mask(value.length, 4), [[1, 1, 1, 0], [1, 0, 0, 0]]
    )
    with pytest.raises(AssertionError, match=r"it: Array\(4, 1, padded\) needs"):
        check(space, value.values, "it")


@pytest.mark.parametrize(
    ("space", "levels", "peak"),
    [
        (Array((2,), 0.0, 255.0, step=1.0), 256, 255.0),
        (Array((2,), -1.0, 1.0, step=0.1), 21, 2.0),
        (Array((2,), -1.0, 1.0), None, 2.0),
        (Array((2,), 0.0, step=1.0), None, 1.0),
    ],
)
def test_levels_and_peak_of_array(space, levels, peak):
    assert space.levels == levels and space.peak == peak


def test_mask_padding_keeps_what_is_before_the_length():
    values = jnp.ones((3, 4, 2))
    masked = mask_padding(values, jnp.array([0, 2, 4]))
    np.testing.assert_array_equal(masked.sum(axis=(1, 2)), [0, 4, 8])
    np.testing.assert_array_equal(masked[1, :, 0], [1, 1, 0, 0])


SPEECH = Array((4, 2), padded=True)
PICTURE = Array((2, 2, 3), 0, 255, step=1.0)
RECORD = Record((("speech", SPEECH), ("picture", PICTURE), ("name", Category(3))))


def test_record_is_named_by_its_fields():
    assert str(RECORD) == (
        "Record(speech: Array(4, 2, padded), picture: Array(2, 2, 3), name: Category(3))"
    )
    assert RECORD.spaces["picture"] == PICTURE
    as_lists = Record([["speech", SPEECH], ["picture", PICTURE], ["name", Category(3)]])
    assert as_lists == RECORD and hash(as_lists) == hash(RECORD)


def test_record_has_a_value_per_field():
    value = zeros(RECORD, 3)
    assert set(value) == {"speech", "picture", "name"}
    np.testing.assert_array_equal(value["speech"].length, [4, 4, 4])
    stored = {**value, "picture": np.ones((3, 2, 2, 3), np.uint8), "unread": 0}
    cast = check(RECORD, to_dtype(RECORD, stored), "X")
    assert cast["picture"].dtype == jnp.float32 and set(cast) == set(value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"picture": jnp.zeros((3, 2, 2))}, r"X, picture: Array\(2, 2, 3\)"),
        ({"speech": jnp.zeros((3, 4, 2))}, r"X, speech: .* needs its lengths"),
        ({"other": 0}, r"X: Record\(.*\) has not \['name', 'other'"),
    ],
)
def test_check_of_a_value_outside_its_record_raises_assertion_error(change, words):
    with pytest.raises(AssertionError, match=words):
        check(RECORD, {**zeros(RECORD, 3), **change}, "X")
    with pytest.raises(AssertionError, match="X: Record.* has not list"):
        check(RECORD, [], "X")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((), "Record needs a field or more"),
        ((("a", PICTURE), ("a", SPEECH)), "Record has 'a' twice"),
        (
            (("a/b", PICTURE),),
            "Record needs names like 'speech', letters, digits and _ without '_length' at "
            "their end, not 'a/b'",
        ),
        (
            (("a_length", PICTURE),),
            "Record needs names like 'speech', letters, digits and _ without '_length' at "
            "their end, not 'a_length'",
        ),
        (
            (("a", Record((("b", Category(2)),))),),
            "Record needs a Category, Tokens or Array as 'a', not Record(b: Category(2))",
        ),
    ],
)
def test_invalid_record_raises_value_error(fields, message):
    assert value_error(Record, fields) == message
