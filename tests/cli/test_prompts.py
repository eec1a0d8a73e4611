import types

import pytest

from regen_jax.cli.prompts import known_kinds, parse, requested
from regen_jax.errors import UserError
from regen_jax.interfaces import PromptKind


def test_text_of_a_flag_has_no_byte_order_mark():
    kinds = {"text": PromptKind("a text"), "audio": PromptKind("a file", is_file=True)}
    task = types.SimpleNamespace(prompt_kinds=kinds, parse_prompt=lambda *given: given)
    given = [("text", "\ufeffGod"), ("audio", "/a.wav")]
    assert requested(task, given, 100, 0) == [("text", "God"), ("audio", "/a.wav")]


def test_kinds_of_prompts_are_those_of_the_tasks():
    kinds = known_kinds()
    assert list(kinds) == ["audio", "midi", "text"]
    assert [name for name, kind in kinds.items() if kind.is_file] == ["audio", "midi"]


def test_prompt_flag_names_its_kind():
    assert parse("drawing:a:b.png") == ("drawing", "a:b.png")
    with pytest.raises(UserError, match="--prompt=a.png names no kind"):
        parse("a.png")


def test_more_edited_files_than_prompts_raise_user_error():
    task = types.SimpleNamespace(
        prompt_kinds={}, prompts=lambda number, split: [split] * min(number, 4)
    )
    assert requested(task, [], 9, 0) == ["test"] * 4
    with pytest.raises(
        UserError, match="4 prompts in the test split, and --y_prime is"
    ):
        requested(task, [], 9, 5)
    with pytest.raises(UserError, match="--y_prime is given 2 times for 1 prompts"):
        requested(task, [("text", "God")], 9, 2)
