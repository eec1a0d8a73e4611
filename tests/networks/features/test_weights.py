"""Files of weights that are damaged, or hold something else."""

import io
import zipfile
from pathlib import Path

import flax.serialization
import jax
import jax.numpy as jnp
import msgpack
import numpy as np
import pytest

from regen_jax.errors import UserError
from regen_jax.networks.features.weights import read_weights, select_weights


def npz(**arrays) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def flipped(offset: int) -> bytes:
    """An archive with one wrong byte of its compressed data."""
    content = bytearray(npz(a=np.arange(1000.0)))
    start = zipfile.ZipFile(io.BytesIO(content)).infolist()[0]
    content[30 + len(start.filename) + len(start.extra) + 20 + offset] ^= 0xFF
    return bytes(content)


def npy() -> bytes:
    content = io.BytesIO()
    np.save(content, np.zeros(3))
    return content.getvalue()


def message(file: Path, content: bytes) -> str:
    """The error of a file with that content, after `weights=… cannot be read: `."""
    file.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_weights(str(file), "weights")
    start, _, reason = str(error.value).partition(" cannot be read: ")
    assert start == f"weights={file}" and "\n" not in reason
    return reason


def test_damaged_archive_raises_user_error(tmp_path):
    file = tmp_path / "a.npz"
    reasons = [message(file, flipped(offset)) for offset in (0, 1, 7)]
    assert any("decompress" in reason for reason in reasons) and all(reasons)
    assert message(file, npy()) == "it holds one array, which has no name"


@pytest.mark.parametrize("names", [("a", "a/b"), ("c/d/e", "c"), ("params/a/b", "a")])
def test_name_of_an_array_and_of_a_layer_raises_user_error(tmp_path, names):
    content = npz(**dict.fromkeys(names, np.zeros(2)))
    shorter, longer = sorted(name.removeprefix("params/") for name in names)
    expected = f"it holds both {shorter} and {longer}"
    assert message(tmp_path / "a.npz", content) == expected


@pytest.mark.parametrize(
    "tree, reason",
    [
        ({1: {"a": 2.0}}, "it has a name that is no text: 1"),
        ({"a": {2: 2.0}}, "it has a name that is no text: 2"),
        ({"params": 3}, "it holds no parameters by name"),
        ([1, 2], "it holds no parameters by name"),
    ],
)
def test_tree_without_names_raises_user_error(tmp_path, tree, reason):
    assert message(tmp_path / "a.msgpack", msgpack.packb(tree)) == reason


def test_exception_without_words_is_named(tmp_path):
    nested = b"\x81\xa1a" * 3000 + b"\x01"
    assert message(tmp_path / "a.msgpack", nested) == "StackError"


@pytest.mark.parametrize(
    "array, words",
    [
        (np.array(["a", "b"]), "of type <U1, but real numbers are needed"),
        (np.array([1, 2j]), "of type complex128, but real numbers are needed"),
        (np.array([1, np.nan]), "with 1 of 2 values that are NaN, infinite or beyond"),
        (np.array([-np.inf, np.inf]), "with 2 of 2 values that are NaN, infinite"),
        (np.array([1e300, 0]), "with 1 of 2 values that are .* beyond float32"),
    ],
)
def test_values_that_are_no_finite_real_numbers_raise_user_error(array, words):
    expected = {"a": {"bias": jax.ShapeDtypeStruct((2,), np.float32)}}
    with pytest.raises(UserError, match=f"^file has a/bias {words}"):
        select_weights(expected, {"a": {"bias": array}}, "file")


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "int8"])
def test_real_numbers_of_any_type_are_converted(tmp_path, dtype):
    file, numbers = tmp_path / "a.msgpack", np.arange(2).astype(jnp.dtype(dtype))
    file.write_bytes(flax.serialization.to_bytes({"a": numbers}))
    expected = {"a": jax.ShapeDtypeStruct((2,), np.float32)}
    weights = select_weights(expected, read_weights(str(file), "weights"), "file")
    assert weights["a"].dtype == np.float32 and weights["a"].tolist() == [0, 1]


def test_error_of_many_names_has_their_number_and_the_first():
    expected = {"z": jax.ShapeDtypeStruct((2,), np.float32)}
    layers = {f"layer{i}": np.zeros(1) for i in range(400)}
    with pytest.raises(UserError) as error:
        select_weights(expected, layers, "file")
    assert str(error.value) == (
        "file has no z, of shape (2,): there are 400, such as layer0, layer1, layer2"
    )
