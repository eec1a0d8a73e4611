"""Rules that run on the host: applied, kept, and left out of what is batched."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from regen_jax.abstractions.identity import Identity
from regen_jax.data.host_features import (
    Origin,
    as_batch,
    extract,
    open_examples,
    sources,
)
from regen_jax.generators.regression import Regression
from regen_jax.interfaces import HostFeature, Task
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import Array, Tokens

Y = Array((2, 1))
CALLS = []


@dataclasses.dataclass(frozen=True)
class Signs(HostFeature):
    """1 for what is negative and 2 for the rest, plus what the notes say."""

    input_space: Array
    plus: int = 0

    @property
    def output_space(self) -> Tokens:
        return Tokens(2, 4)

    def extract(self, y, notes):
        CALLS.append(float(y[0, 0]))
        return (1 + (y[:, 0] >= 0) + self.plus * notes.get("more", 0)).astype(np.int32)


class Examples(Sequence):
    def __init__(self, origin=None):
        self.origin = origin

    def __len__(self):
        return 3

    def __getitem__(self, index):
        y = np.array([[index - 1], [1 - index]], np.float32)
        return {"x": y, "y": -y, "more": 1, "text": "a note"}


@dataclasses.dataclass(frozen=True)
class Numbers(Task):
    origin: Any = None
    x = y = Y

    def examples(self, split):
        return Examples(self.origin)


def parts(**options):
    signs = Signs(Y, **options)
    return Regeneration(Identity(Y), signs, Regression(Y, Y))


def test_a_rule_reads_notes_and_a_batch_has_none():
    CALLS.clear()
    examples = open_examples(Numbers(), parts(plus=1), "train")
    assert len(examples) == 3
    found = examples[2]
    assert set(found) == {"x", "y", "y_prime"}
    np.testing.assert_array_equal(found["y_prime"], [2, 3])
    assert CALLS == [-1.0]


def test_without_a_rule_notes_are_left_out_too():
    plain = Regeneration(Identity(Y), Identity(Y), Regression(Y, Y))
    assert set(open_examples(Numbers(), plain, "train")[0]) == {"x", "y"}


def test_what_a_rule_says_is_kept_with_the_data(tmp_path):
    task = Numbers(Origin(tmp_path, "all"))
    CALLS.clear()
    first = open_examples(task, parts(), "train")[1]["y_prime"]
    assert len(CALLS) == 3
    open_examples.cache_clear()
    again = open_examples(task, parts(), "train")
    np.testing.assert_array_equal(again[1]["y_prime"], first)
    assert len(CALLS) == 3
    # Neither another option nor another selection may read the same values.
    other = open_examples(task, parts(plus=1), "train")[1]["y_prime"]
    np.testing.assert_array_equal(other, first + 1)
    open_examples(Numbers(Origin(tmp_path, "some")), parts(), "train")
    assert len(CALLS) == 9
    assert len(list((tmp_path / "annotations").iterdir())) == 3


@pytest.mark.parametrize("size", [0, 40, 129])
def test_a_damaged_file_is_made_again(tmp_path, size):
    task = Numbers(Origin(tmp_path, "all"))
    first = open_examples(task, parts(), "train")[2]["y_prime"]
    (path,) = (tmp_path / "annotations").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:size])
    open_examples.cache_clear()
    again = open_examples(task, parts(), "train")[2]["y_prime"]
    np.testing.assert_array_equal(again, first)
    assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path, caplog):
    (tmp_path / "annotations").write_text("in the way")
    task = Numbers(Origin(tmp_path, "all"))
    assert open_examples(task, parts(), "test")[0]["y_prime"].tolist() == [2, 1]
    assert "kept in memory alone" in caplog.text


def test_a_prompt_needs_no_y():
    example = {"x": np.ones((2, 1), np.float32)}
    assert set(extract(example, parts())) == {"x"}
    batch = as_batch([example, {**example, "text": "a note"}], parts())
    assert set(batch) == {"x"} and batch["x"].shape == (2, 2, 1)


def test_a_rule_for_the_host_does_not_run_in_a_step():
    with pytest.raises(TypeError, match="Signs runs in the input pipeline"):
        Signs(Y).encode({}, np.zeros((1, 2, 1)))


def test_a_rule_is_known_by_all_the_code_it_rests_on():
    found = sources("regen_jax.abstractions.text.phonemes")
    assert "def extract" in found["regen_jax.abstractions.text.phonemes"]
    assert {"regen_jax.modalities.text.pronunciation", "regen_jax.spaces"} <= set(found)
    assert "regen_jax.abstractions.audio.mel" not in found
