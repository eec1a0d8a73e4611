import types

import pytest

from regen_jax.cli.prompts import requested
from regen_jax.errors import UserError


def test_text_of_a_flag_has_no_byte_order_mark():
    task = types.SimpleNamespace(parse_prompt=lambda *given: given)
    given = [("text", "\ufeffGod"), ("audio", "/a.wav")]
    assert requested(task, given, 100, 0) == [("text", "God"), ("audio", "/a.wav")]


def test_more_edited_files_than_prompts_are_refused():
    task = types.SimpleNamespace(prompts=lambda number, split: [split] * min(number, 4))
    assert requested(task, [], 9, 0) == ["test"] * 4
    with pytest.raises(
        UserError, match="4 prompts in the test split, and --y_prime is"
    ):
        requested(task, [], 9, 5)
    with pytest.raises(UserError, match="--y_prime is given 2 times for 1 prompts"):
        requested(task, [("text", "God")], 9, 2)
