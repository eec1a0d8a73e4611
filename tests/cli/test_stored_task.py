"""Damaged files of a workdir that stand in for its data set."""

import functools
import io
import zipfile

import numpy as np
import pytest

from regen_jax.cli import stored_task
from regen_jax.config.build import build
from regen_jax.errors import UserError

LABELS = np.arange(10, dtype=np.int32)


def archive(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def archive_of(content, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as zipped:
        zipped.writestr("x.npy", content)
    return file.getvalue()


def with_changed_bytes(content, at, new):
    return content[:at] + new + content[at + len(new) :]


@pytest.fixture(scope="module")
def run(tiny_run):
    return tiny_run("abstraction=downsample,prior=regression")


def test_prompts_are_read_as_they_were_stored(run, tmp_path):
    (tmp_path / "prompts.npz").write_bytes(archive(x=LABELS))
    read = functools.partial(stored_task.read_prompts, run, tmp_path)
    np.testing.assert_array_equal(read(3)["x"], [0, 1, 2])
    np.testing.assert_array_equal(read(100)["x"], LABELS)


DAMAGED = {
    "empty": b"",
    "compressed-data": with_changed_bytes(archive(x=LABELS), 62, b"\xff" * 8),
    "method": archive(x=LABELS).replace(
        b"\x08\x00\x00\x00\x21", b"\x63\x00\x00\x00\x21"
    ),
    "header": archive_of(b"\x93NUMPY\x01\x00\x04\x00{'a("),
    "no-array": archive_of(b"text"),
    "no-entry": archive(),
    "other-name": archive(y=LABELS),
    "further-name": archive(x=LABELS, x_length=LABELS),
    "scalar": archive(x=np.int32(3)),
    "other-shape": archive(x=LABELS[:, None]),
    "no-prompt": archive(x=LABELS[:0]),
    "texts": archive(x=np.array(["a", "b"])),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damaged_prompts_raise_user_error(run, tmp_path, content):
    (tmp_path / "prompts.npz").write_bytes(content)
    with pytest.raises(UserError, match="prompts.npz cannot be read: ."):
        stored_task.read_prompts(run, tmp_path, 5)


@pytest.mark.parametrize(
    "info",
    [
        {},
        {"shape": [8, 8, 1]},
        {"shape": 8, "label_names": ["a"]},
        {"shape": [8, 0], "label_names": ["a"]},
        {"shape": ["a"], "label_names": ["a"]},
        {"shape": [8, 8, 1], "label_names": []},
    ],
)
def test_damaged_info_of_a_task_raises_user_error(tiny_config, info):
    with pytest.raises(UserError, match=r"the task\.json of the run is damaged"):
        build(tiny_config(""), info=info)
