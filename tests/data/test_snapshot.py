"""The part of a data set that a run keeps."""

import numpy as np
import pytest

from regen_jax.data.snapshot import Snapshot, flatten, unflatten
from regen_jax.errors import UserError
from regen_jax.spaces import Padded

BATCH = {
    "x": Padded(np.ones((3, 4), np.float32), np.array([4, 0, 2], np.int32)),
    "y": np.arange(6, dtype=np.uint8).reshape(3, 2),
}
FACTS = {"label_names": ["cat", "größer"], "shape": [2, 1]}


def assert_equal(batch, other):
    assert batch.keys() == other.keys()
    for name in ("values", "length"):
        value, expected = getattr(batch["x"], name), getattr(other["x"], name)
        np.testing.assert_array_equal(value, expected)
        assert value.dtype == expected.dtype
    np.testing.assert_array_equal(batch["y"], other["y"])


def test_written_snapshot_is_read_back(tmp_path):
    Snapshot(FACTS, BATCH).write(tmp_path / "data.npz")
    restored = Snapshot.read(tmp_path / "data.npz")
    assert restored.facts == FACTS
    assert_equal(restored.prompts, BATCH)
    first = restored.first(2)
    assert first["y"].tolist() == [[0, 1], [2, 3]] and len(first["x"].length) == 2
    assert len(restored.first(9)["y"]) == 3


def test_padded_values_are_flattened_beside_their_lengths():
    arrays = flatten(BATCH)
    assert set(arrays) == {"x", "x_length", "y"}
    assert_equal(unflatten(arrays), BATCH)


@pytest.mark.parametrize("size", [0, 30, 400])
def test_damaged_snapshot_raises_user_error(tmp_path, size):
    path = tmp_path / "data.npz"
    Snapshot(FACTS, BATCH).write(path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UserError, match="cannot be read") as caught:
        Snapshot.read(path)
    assert "\n" not in str(caught.value)


def test_missing_snapshot_raises_user_error(tmp_path):
    with pytest.raises(UserError, match="is missing"):
        Snapshot.read(tmp_path / "data.npz")
