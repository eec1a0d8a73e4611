import logging
import os
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regen_jax.errors import UserError
from regen_jax.paths import storable
from regen_jax.training.checkpoint import (
    CheckpointOptions,
    Checkpoints,
    fingerprint,
)
from regen_jax.training.parallel.options import MeshAxes, ParallelOptions
from regen_jax.training.parallel.strategies import make_strategy
from regen_jax.training.step import TrainState

SPLIT = ParallelOptions(axes=MeshAxes(fsdp=8), min_size=16)
PMAP = ParallelOptions("pmap", MeshAxes(data=4))
ONE = ParallelOptions(axes=MeshAxes(data=1))


pytestmark = pytest.mark.usefixtures("collected")

unraisable = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


def make_state(step, seed=0):
    rng = np.random.default_rng(seed)
    params = {
        "kernel": rng.normal(size=(16, 64)).astype(np.float32),
        "bias": rng.normal(size=8).astype(np.float32),
    }
    return TrainState(
        step=np.int32(step),
        variables={"params": params, "seen": {"codes": np.arange(40, dtype=np.int32)}},
        averages=(jax.tree.map(lambda p: p / 2, params),),
        optimizer=({"mu": jax.tree.map(jnp.bfloat16, params)}, {"count": np.int32(7)}),
    )


def abstract(parallel=ONE):
    shapes = jax.eval_shape(lambda: make_state(0))
    return make_strategy(parallel).abstract_checkpoint(shapes)


def checkpoints(folder, keep=2):
    return Checkpoints(folder, "prior", CheckpointOptions(1, keep))


def save(folder, steps, iterator=None, keep=2, parallel=ONE):
    strategy = make_strategy(parallel)
    saving = checkpoints(folder, keep)
    for step in steps:
        state = strategy.to_step_layout(make_state(step, seed=step))
        saving.save(strategy.to_checkpoint_layout(state), 10.0 * step, iterator)
        if iterator is not None:
            next(iterator)
    saving.finish()
    saving.close()
    return folder / "prior" / "checkpoints"


def restore(folder, iterator=None, parallel=ONE):
    reading = checkpoints(folder)
    restored = reading.restore(abstract(parallel), iterator)
    reading.close()
    return restored


def assert_same(actual, expected):
    def same(a, b):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype

    jax.tree.map(same, jax.device_get(actual), jax.device_get(expected))


def test_newest_checkpoint_is_restored_with_its_seconds(tmp_path):
    save(tmp_path, [3, 4])
    state, seconds = restore(tmp_path)
    assert_same(state, make_state(4, seed=4))
    assert seconds == 40.0


def test_odd_characters_of_a_folder_are_literal(tmp_path):
    name = """a %41{b,c}|#&=;:'"$^`~!@()+,<>é"""
    folder = storable(tmp_path / name, "--workdir")
    save(folder, [3, 4])
    assert_same(restore(folder)[0], make_state(4, seed=4))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_iterator_is_restored_with_the_state(tmp_path, toy):
    iterator = toy.batches()
    save(tmp_path, [1, 2, 3], iterator)
    expected = next(iterator)
    other = toy.batches()
    restore(tmp_path, other)
    # Checkpoint 3 was saved after two batches, and one more was taken since.
    next(other)
    assert_same(next(other), expected)


def test_restore_without_checkpoints_returns_none(tmp_path):
    assert restore(tmp_path) is None
    assert checkpoints(tmp_path).latest is None
    assert list(tmp_path.iterdir()) == []


def test_newest_checkpoints_are_kept(tmp_path):
    folder = save(tmp_path, [1, 2, 3, 4], keep=3)
    assert sorted(path.name for path in folder.iterdir()) == ["2", "3", "4"]


@pytest.mark.parametrize("first", [ONE, SPLIT, PMAP], ids=["one", "fsdp", "pmap"])
@pytest.mark.parametrize("then", [ONE, SPLIT, PMAP], ids=["one", "fsdp", "pmap"])
def test_state_saved_by_one_strategy_is_restored_by_another(tmp_path, first, then):
    save(tmp_path, [5], parallel=first)
    state, _ = restore(tmp_path, parallel=then)
    assert_same(state, make_state(5, seed=5))
    shardings = make_strategy(then).shardings(state)
    assert jax.tree.map(lambda leaf: leaf.sharding, state) == shardings


@settings(max_examples=25, deadline=None)
@given(
    leaf=st.sampled_from(["kernel", "bias", "codes", "mu", "step"]),
    place=st.integers(0, 10**6),
    bit=st.integers(0, 31),
)
def test_fingerprint_changes_with_any_bit(leaf, place, bit):
    arrays = {
        "kernel": np.linspace(-1, 1, 1024, dtype=np.float32).reshape(16, 64),
        "bias": np.zeros(8, np.float32),
        "codes": np.arange(40, dtype=np.int32),
        "mu": np.linspace(0, 1, 40).astype(jnp.bfloat16),
        "step": np.array([3], np.int32),
    }
    before = int(fingerprint(arrays))
    changed = arrays[leaf].copy()
    kind = np.dtype(f"uint{8 * changed.itemsize}")
    flat = changed.reshape(-1).view(kind)
    flat[place % flat.size] ^= kind.type(1 << (bit % (8 * changed.itemsize)))
    assert int(fingerprint({**arrays, leaf: changed})) != before


def test_fingerprint_is_that_of_checkpoints_written_before():
    """A polynomial in 31 of the weighted sums of leaves, in their order, modulo 2^32."""
    rng = np.random.default_rng(0)
    arrays = [
        rng.standard_normal((3, 5)).astype(np.float32),
        rng.integers(-9, 9, 7).astype(np.int32),
        rng.standard_normal((3, 5)).astype(np.float32),
        rng.standard_normal((5, 3)).astype(jnp.bfloat16),
        rng.standard_normal((3, 5)).astype(jnp.bfloat16),
        np.array(4, np.int32),
    ]
    total = 0
    for array in arrays:
        bits = array.reshape(-1).view(f"uint{8 * array.itemsize}").tolist()
        weighted = sum(bit * (2 * place + 1) for place, bit in enumerate(bits))
        total = (31 * total + weighted) % 2**32
    assert int(fingerprint(arrays)) == total


def test_fingerprint_changes_if_values_or_arrays_are_exchanged():
    a, b = np.arange(8, dtype=np.int32), np.arange(8, 16, dtype=np.int32)
    before = int(fingerprint({"a": a, "b": b}))
    assert int(fingerprint({"a": b, "b": a})) != before
    assert int(fingerprint({"a": a[::-1].copy(), "b": b})) != before


@pytest.mark.parametrize(
    "parallel", [SPLIT, ParallelOptions(axes=MeshAxes(fsdp=2), min_size=1), PMAP]
)
def test_fingerprint_is_the_same_for_any_sharding(parallel):
    strategy = make_strategy(parallel)
    state = make_state(3)
    placed = strategy.to_checkpoint_layout(strategy.to_step_layout(state))
    assert int(fingerprint(placed)) == int(fingerprint(state))


def truncate(checkpoint):
    path = largest(checkpoint)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path, place=0.5):
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 1
    path.write_bytes(data)


def garble(checkpoint):
    (checkpoint / "state" / "_METADATA").write_text("{ what")


def break_metadata(checkpoint):
    (checkpoint / "metadata" / "metadata").write_text("")


def empty(checkpoint):
    shutil.rmtree(checkpoint)
    checkpoint.mkdir()


DAMAGE = {
    "truncated": truncate,
    "flipped": lambda checkpoint: flip(largest(checkpoint)),
    "deleted": lambda checkpoint: largest(checkpoint).unlink(),
    "garbled": garble,
    "no metadata": break_metadata,
    "empty": empty,
}


def largest(checkpoint: Path) -> Path:
    files = [path for path in (checkpoint / "state").rglob("*") if path.is_file()]
    return max(files, key=lambda path: path.stat().st_size)


@pytest.fixture(scope="module")
def saved(tmp_path_factory, toy):
    """A folder with checkpoints 1 and 2."""
    folder = tmp_path_factory.mktemp("saved")
    save(folder, [1, 2], toy.batches())
    return folder


@unraisable
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_checkpoint_is_logged_and_the_one_before_restored(
    tmp_path, saved, toy, damage, caplog
):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    folder = tmp_path / "prior" / "checkpoints"
    damage(folder / "2")
    files = {path: path.read_bytes() for path in tree(folder / "2")}
    iterator = toy.batches()
    reading = checkpoints(tmp_path)
    with caplog.at_level(logging.WARNING, "regen_jax"):
        state, seconds = reading.restore(abstract(), iterator)
    assert_same(state, make_state(1, seed=1))
    assert seconds == 10.0
    assert_same(next(iterator), next(toy.batches()))
    (line,) = (
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("regen_jax")
    )
    assert line.startswith("checkpoint 2 of stage 'prior' is damaged (")
    assert line.endswith("); trying the one before") and "\n" not in line

    # Out of the way of the run that goes on, but not lost.
    reading.quarantine_after(1)
    reading.save(make_state(2, seed=9), 20.0, iterator)
    reading.finish()
    reading.close()
    aside = tmp_path / "prior" / "damaged" / "2"
    for path, data in files.items():
        assert (aside / path.relative_to(folder / "2")).read_bytes() == data
    state, _ = restore(tmp_path)
    assert_same(state, make_state(2, seed=9))


@unraisable
def test_damage_of_any_file_restores_a_whole_state(tmp_path, saved, toy):
    """A bit of any one file changes, or the file is gone."""
    newest = saved / "prior" / "checkpoints" / "2"
    expected = {}
    for step in (1, 2):
        iterator = toy.batches()
        for _ in range(step - 1):
            next(iterator)
        expected[step] = make_state(step, seed=step), iterator.get_state()
    for number, path in enumerate(tree(newest)):
        for place in (None, 0.2, 0.5, 0.9):
            folder = tmp_path / f"{number}-{place}"
            shutil.copytree(saved, folder)
            damaged = folder / "prior/checkpoints/2" / path.relative_to(newest)
            if place is None:
                damaged.unlink()
            else:
                flip(damaged, place)
            iterator = toy.batches()
            state, _ = restore(folder, iterator)
            expected_state, place_in_data = expected[int(state.step)]
            assert_same(state, expected_state)
            assert iterator.get_state() == place_in_data


def tree(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_quarantine_overwrites_nothing(tmp_path, saved):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    earlier = tmp_path / "prior" / "damaged" / "2"
    earlier.mkdir(parents=True)
    (earlier / "mine").write_text("kept")
    reading = checkpoints(tmp_path)
    reading.quarantine_after(1)
    reading.close()
    assert (earlier / "mine").read_text() == "kept"
    assert (earlier.with_name("2_") / "state").is_dir()
    assert [path.name for path in (tmp_path / "prior/checkpoints").iterdir()] == ["1"]


@unraisable
def test_all_checkpoints_damaged_raise_user_error_of_one_line(tmp_path, saved):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    folder = tmp_path / "prior" / "checkpoints"
    flip(largest(folder / "1"))
    truncate(folder / "2")
    with pytest.raises(UserError, match="no checkpoint of stage 'prior'") as error:
        restore(tmp_path)
    assert str(folder) in str(error.value) and "\n" not in str(error.value)


def test_checkpoint_of_another_model_is_not_damaged(tmp_path):
    folder = save(tmp_path, [1, 2])
    before = tree(folder)
    shapes = abstract()
    shapes.averages[0]["bias"] = jax.ShapeDtypeStruct((9,), jnp.bfloat16)
    reading = checkpoints(tmp_path)
    words = (
        r"checkpoint 2 of stage 'prior' .* is of another model or optimizer: "
        r"averages/0/bias is float32\[8\], and bfloat16\[9\] in this config"
    )
    with pytest.raises(UserError, match=words):
        reading.restore(shapes)
    reading.close()
    assert tree(folder) == before


@unraisable
def test_checkpoint_without_read_permission_is_not_damaged(tmp_path, monkeypatch):
    folder = save(tmp_path, [1, 2])
    garble(folder / "2")
    # Root may read everything.
    monkeypatch.setattr(os, "access", lambda path, mode: "_METADATA" not in str(path))
    with pytest.raises(UserError, match=r"checkpoint 2 .* may not be read .*_METADATA"):
        restore(tmp_path)


def test_shapes_without_shardings_are_read_onto_one_device(tmp_path):
    save(tmp_path, [5], parallel=SPLIT)
    reading = checkpoints(tmp_path)
    state, _ = reading.restore(jax.eval_shape(lambda: make_state(0)))
    reading.close()
    assert_same(state, make_state(5, seed=5))
    assert {x.sharding.device_set.pop() for x in jax.tree.leaves(state)} == {
        jax.devices()[0]
    }
