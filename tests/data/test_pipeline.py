import itertools
import threading

import numpy as np
import pytest

from regen_jax.data.pipeline import (
    evaluation_batches,
    first_batch,
    subset,
    training_batches,
)
from regen_jax.errors import UserError
from regen_jax.spaces import Padded


class Numbers:
    """Example i is the number i, and a vector that starts with it."""

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if not 0 <= index < self.length:
            raise IndexError(index)
        return {"x": np.int32(index), "y": np.array([index, 1], np.uint8)}


def take(batches, count):
    return np.array([batch["x"] for batch in itertools.islice(batches, count)])


def test_batch_stacks_examples():
    batch = next(training_batches(Numbers(10), 4, seed=0))
    assert batch["x"].shape == (4,) and batch["x"].dtype == np.int32
    assert batch["y"].shape == (4, 2) and batch["y"].dtype == np.uint8
    np.testing.assert_array_equal(batch["y"][:, 0], batch["x"])


@pytest.mark.parametrize("length, batch_size", [(10, 4), (12, 4), (5, 5), (7, 1)])
def test_every_epoch_has_all_examples_in_a_new_order(length, batch_size):
    epochs = 3
    steps = -(-epochs * length // batch_size)
    stream = take(training_batches(Numbers(length), batch_size, seed=3), steps)
    orders = stream.reshape(-1)[: epochs * length].reshape(epochs, length)
    np.testing.assert_array_equal(np.sort(orders), [np.arange(length)] * epochs)
    assert len({tuple(order) for order in orders}) == epochs


def test_order_depends_on_the_seed_alone():
    first, again, other = (
        take(training_batches(Numbers(50), 10, seed), 20) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    # Neighboring seeds share no epoch, not even a later one.
    epochs = [tuple(e) for stream in (first, other) for e in stream.reshape(-1, 50)]
    assert len(set(epochs)) == 8


def test_order_equals_the_recorded_one():
    stream = take(training_batches(Numbers(8), 4, seed=7), 3)
    np.testing.assert_array_equal(stream, [[7, 4, 6, 1], [5, 0, 2, 3], [7, 4, 3, 0]])


@pytest.mark.parametrize("num_threads", [0, 1, 3])
def test_threads_do_not_change_the_order(num_threads):
    expected = take(training_batches(Numbers(40), 6, 1, num_threads=0), 12)
    threaded = training_batches(Numbers(40), 6, 1, num_threads=num_threads)
    np.testing.assert_array_equal(take(threaded, 12), expected)


@pytest.mark.parametrize(
    "hosts",
    [
        [range(8)],
        [range(4), range(4, 8)],
        [range(2), range(2, 4), range(4, 6), range(6, 8)],
        [(0, 1, 4, 5), (2, 3, 6, 7)],
    ],
)
def test_hosts_read_their_rows_of_one_global_order(hosts):
    whole = take(training_batches(Numbers(30), 8, seed=5), 9)
    for rows in map(np.array, hosts):
        read = take(training_batches(Numbers(30), 8, seed=5, rows=rows), 9)
        np.testing.assert_array_equal(read, whole[:, rows])


@pytest.mark.parametrize("steps", [0, 1, 4, 9])
def test_state_resumes_within_an_epoch_on_any_number_of_hosts(steps):
    batches = training_batches(Numbers(22), 4, seed=2)
    expected = take(training_batches(Numbers(22), 4, seed=2), steps + 6)[steps:]
    take(batches, steps)
    state = batches.get_state()
    np.testing.assert_array_equal(take(batches, 6), expected)
    used = training_batches(Numbers(22), 4, seed=2)
    take(used, 3)
    used.set_state(state)
    np.testing.assert_array_equal(take(used, 6), expected)
    second = training_batches(Numbers(22), 4, seed=2, rows=np.array([2, 3]))
    second.set_state(state)
    np.testing.assert_array_equal(take(second, 6), expected[:, 2:])


def test_next_batch_is_prepared_ahead():
    read = []
    second_batch_read = threading.Event()

    class Watched(Numbers):
        def __getitem__(self, index):
            read.append(index)
            if len(read) == 8:
                second_batch_read.set()
            return super().__getitem__(index)

    batches = training_batches(Watched(100), 4, seed=0)
    next(batches)
    assert second_batch_read.wait(timeout=60)


@pytest.mark.parametrize(
    "length, batch_size, sizes",
    [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 4, [3]), (1, 1, [1]), (0, 4, [])],
)
def test_evaluation_batches_have_every_example_once_in_order(length, batch_size, sizes):
    batches = list(evaluation_batches(Numbers(length), batch_size))
    assert [len(batch["x"]) for batch in batches] == sizes
    seen = [value for batch in batches for value in batch["x"]]
    np.testing.assert_array_equal(seen, np.arange(length))
    for batch in batches:
        np.testing.assert_array_equal(batch["y"][:, 0], batch["x"])


@pytest.mark.parametrize("batch_size, size", [(4, 4), (10, 10), (11, 10)])
def test_first_batch_has_the_first_examples(batch_size, size):
    batch = first_batch(Numbers(10), batch_size)
    np.testing.assert_array_equal(batch["x"], np.arange(size))


@pytest.mark.parametrize(
    "batch_size, message",
    [
        (11, "batch_size: a batch of 11 cannot be drawn from 10 .* from 1 to 10"),
        (0, "batch of 0 cannot be drawn"),
    ],
)
def test_batch_size_out_of_range_raises_user_error(batch_size, message):
    with pytest.raises(UserError, match=message):
        training_batches(Numbers(10), batch_size, 0)


def test_subset_is_drawn_by_the_seed():
    whole = [{"x": np.int32(i)} for i in range(40)]

    def rows(fraction, seed):
        drawn = subset(whole, fraction, seed)
        return [int(drawn[i]["x"]) for i in range(len(drawn))]

    assert subset(whole, 1.0, 0) is whole
    assert len(set(rows(0.25, 0))) == 10
    assert rows(0.25, 0) == rows(0.25, 0) == rows(0.5, 0)[:10]
    assert set(rows(0.25, 0)) != set(rows(0.25, 1))
    assert len(rows(1e-6, 0)) == 1


def test_trees_are_stacked_leaf_by_leaf():
    pair = {"x": Padded(np.ones((3, 2)), np.int32(2)), "y": np.int32(1)}
    batch = first_batch([pair, pair], 2)
    assert batch["x"].values.shape == (2, 3, 2) and batch["x"].length.tolist() == [2, 2]
