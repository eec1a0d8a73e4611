import types

import pytest

from regen_jax.cli.prompts import known_kinds, parse, requested
from regen_jax.errors import UserError
from regen_jax.interfaces import PromptKind


def test_text_of_a_flag_has_no_byte_order_mark():
    kinds = {"text": PromptKind("a text"), "audio": PromptKind("a file", is_file=True)}
    task = types.SimpleNamespace(
        prompt_kinds=kinds, joint_kinds=(), parse_prompt=lambda *given: given
    )
    given = [("text", "\ufeffGod"), ("audio", "/a.wav")]
    assert requested(task, given, 100, 0) == [("text", "God"), ("audio", "/a.wav")]


def test_kinds_of_prompts_are_those_of_the_tasks():
    kinds = known_kinds()
    assert list(kinds) == ["audio", "image", "midi", "text", "video"]
    assert [name for name, kind in kinds.items() if not kind.is_file] == ["text"]


JOINT = types.SimpleNamespace(
    prompt_kinds={name: PromptKind(name) for name in ("sound", "face")},
    joint_kinds=("sound", "face"),
    parse_prompt=lambda kind, value: {"x": {kind: value}},
)


def test_joint_kinds_give_fields_of_one_prompt():
    pairs = [("face", "f"), ("sound", "s"), ("sound", "t")]
    prompts = [{"x": {"sound": sound, "face": "f"}} for sound in ("s", "t")]
    assert requested(JOINT, pairs, 100, 0) == prompts


@pytest.mark.parametrize(
    "pairs, words",
    [
        ([("face", "f")], "one --sound and one --face, and given are --sound 0 times"),
        ([("face", "f")] * 2 + [("sound", "s")] * 3, "--sound 3 times and --face 2"),
    ],
)
def test_missing_joint_kind_raises_user_error(pairs, words):
    with pytest.raises(UserError, match=words):
        requested(JOINT, pairs, 100, 0)


def test_prompt_flag_names_its_kind():
    assert parse("drawing:a:b.png") == ("drawing", "a:b.png")
    with pytest.raises(UserError, match="--prompt=a.png names no kind"):
        parse("a.png")


TEXTS = types.SimpleNamespace(prompt_kinds={}, joint_kinds=())


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
        requested(TEXTS, [("text", "God")], 9, 2)
