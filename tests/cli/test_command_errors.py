"""Commands print exceptions of JAX, and long messages, as one line."""

import jax
import numpy as np
import pytest

from regen_jax.cli import commands
from regen_jax.errors import LONGEST, line


class Stopped(Exception):
    pass


@pytest.fixture
def guarded(monkeypatch):
    def fail(error):
        raise Stopped(error)

    monkeypatch.setattr(commands, "fail", fail)
    for hook in ("excepthook", "unraisablehook"):
        monkeypatch.setattr(f"sys.{hook}", None)
    return commands._guarded


def exhaust_numpy():
    np.zeros(2**60, np.int8)


def exhaust_device():
    raise jax.errors.JaxRuntimeError(
        "RESOURCE_EXHAUSTED: Out of memory\nallocating 35184372072448 bytes."
    )


@pytest.mark.parametrize("main", [exhaust_numpy, exhaust_device])
def test_lack_of_memory_is_one_line_with_advice(guarded, main):
    words = r"^memory is not enough: .* bytes?\W.*; take a smaller batch_size or model"
    if main is exhaust_numpy:
        words = (
            "^memory is not enough: Unable to allocate .*; take a smaller batch_size"
        )
    with pytest.raises(Stopped, match=words) as stopped:
        guarded(main)
    assert "\n" not in str(stopped.value)


def test_other_errors_of_devices_keep_their_traceback(guarded):
    def main():
        raise jax.errors.JaxRuntimeError("INTERNAL: a bug")

    with pytest.raises(jax.errors.JaxRuntimeError, match="a bug"):
        guarded(main)


def test_error_is_one_line_of_bounded_length():
    assert line(ValueError("a\n  b\tc")) == "a b c"
    assert line("x" * LONGEST) == "x" * LONGEST
    long = line("begin " + "x" * 10**6 + " end")
    assert len(long) == LONGEST
    assert long.startswith("begin xx") and long.endswith("xx end") and " … " in long
