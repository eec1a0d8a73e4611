"""Host features: extracted, cached, and batched without metadata."""

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from regen_jax.abstractions.identity import Identity
from regen_jax.data import host_features
from regen_jax.data.host_features import (
    Origin,
    add_host_features,
    as_batch,
    open_examples,
    source_code,
)
from regen_jax.errors import UserError
from regen_jax.generators.regression import Regression
from regen_jax.interfaces import HostFeature, Task
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import Array, Record, Tokens

Y = Array((2, 1))
CALLS = []


@dataclasses.dataclass(frozen=True)
class Signs(HostFeature):
    """1 for negative values and 2 for others, plus a number from the metadata."""

    input_space: Array
    plus: int = 0

    @property
    def output_space(self) -> Tokens:
        return Tokens(2, 4)

    def extract(self, value, metadata):
        CALLS.append(float(value[0, 0]))
        signs = 1 + (value[:, 0] >= 0)
        return (signs + self.plus * metadata.get("more", 0)).astype(np.int32)


class Examples(Sequence):
    def __init__(self, origin=None):
        self.origin = origin

    def __len__(self):
        return 3

    def __getitem__(self, index):
        y = np.array([[index - 1], [1 - index]], np.float32)
        return {"x": y, "y": -y, "more": 1, "text": "any"}


@dataclasses.dataclass(frozen=True)
class Numbers(Task):
    origin: Any = None
    x = y = Y

    def examples(self, split):
        return Examples(self.origin)


def parts(**options):
    signs = Signs(Y, **options)
    return Regeneration(Identity(Y), signs, Regression(Y, Y))


def test_host_feature_reads_metadata_that_examples_lose():
    CALLS.clear()
    examples = open_examples(Numbers(), parts(plus=1), "train")
    assert len(examples) == 3
    example = examples[2]
    assert set(example) == {"x", "y", "y_prime"}
    np.testing.assert_array_equal(example["y_prime"], [2, 3])
    assert CALLS == [-1.0]


def test_without_host_feature_examples_lose_metadata():
    plain = Regeneration(Identity(Y), Identity(Y), Regression(Y, Y))
    assert set(open_examples(Numbers(), plain, "train")[0]) == {"x", "y"}


@pytest.mark.parametrize(
    "space, message",
    [
        (Array((2,)), r"y of float32\[2, 1\], which is not of the space Array\(2\) of"),
        (Array((2, 1), padded=True), "y of float32.* is not of the space"),
        (Record((("a", Y),)), "y of float32.* is not of the space"),
    ],
    ids=["shape", "length", "fields"],
)
def test_example_of_another_space_raises_user_error(space, message):
    @dataclasses.dataclass(frozen=True)
    class Wrong(Numbers):
        y = space

    plain = Regeneration(Identity(Y), Identity(Y), Regression(Y, Y))
    with pytest.raises(UserError, match=message):
        open_examples(Wrong(), plain, "train")


def test_host_feature_is_computed_once_and_kept_with_the_data(tmp_path):
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


def test_long_computation_logs_how_far_it_is(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(host_features, "_SECONDS_BETWEEN_LINES", 0)
    with caplog.at_level(logging.INFO, "regen_jax"):
        open_examples(Numbers(Origin(tmp_path, "all")), parts(), "train")
    first, *lines = [record.getMessage() for record in caplog.records]
    assert first.startswith("computing ") and first.endswith(" of 3 examples, once")
    assert [line.partition(": ")[2] for line in lines] == [
        f"{i} of 3" for i in (1, 2, 3)
    ]


@pytest.mark.parametrize("size", [0, 40, 129])
def test_damaged_cache_is_written_again(tmp_path, size):
    task = Numbers(Origin(tmp_path, "all"))
    first = open_examples(task, parts(), "train")[2]["y_prime"]
    (path,) = (tmp_path / "annotations").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:size])
    open_examples.cache_clear()
    again = open_examples(task, parts(), "train")[2]["y_prime"]
    np.testing.assert_array_equal(again, first)
    assert path.read_bytes() == whole


def test_cache_that_cannot_be_written_logs_a_warning(tmp_path, caplog):
    (tmp_path / "annotations").write_text("in the way")
    task = Numbers(Origin(tmp_path, "all"))
    assert open_examples(task, parts(), "test")[0]["y_prime"].tolist() == [2, 1]
    assert "kept in memory only" in caplog.text


def test_prompt_without_y_has_no_y_prime():
    example = {"x": np.ones((2, 1), np.float32)}
    assert set(add_host_features(example, parts())) == {"x"}
    batch = as_batch([example, {**example, "text": "any"}], parts())
    assert set(batch) == {"x"} and batch["x"].shape == (2, 2, 1)


def test_host_feature_in_a_compiled_step_raises_type_error():
    with pytest.raises(TypeError, match="Signs runs in the input pipeline"):
        Signs(Y).encode({}, np.zeros((1, 2, 1)))


def test_source_code_is_that_of_all_imported_modules():
    code = source_code("regen_jax.abstractions.text.phonemes")
    assert "def extract" in code["regen_jax.abstractions.text.phonemes"]
    assert {"regen_jax.modalities.text.pronunciation", "regen_jax.spaces"} <= set(code)
    assert "regen_jax.abstractions.audio.mel" not in code
