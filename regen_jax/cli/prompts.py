"""The prompts of `sample`: those that a user gave, or those of the task."""

from collections.abc import Sequence

from regen_jax import paths
from regen_jax.config.registry import registered_names, resolve_class
from regen_jax.errors import UserError
from regen_jax.interfaces import Example, PromptKind, Task

_MARK = "\ufeff"
"""The byte-order mark, with which some editors begin a text."""


def requested(
    task: Task, pairs: Sequence[tuple[str, str]], number: int, edited: int
) -> list[Example]:
    """Returns the examples to generate from.

    Args:
      task: parses the pairs, or has prompts of its own.
      pairs: (kind, value), such as `("text", "a verse")` or `("midi", path)`.
      number: the most prompts of the task, where there are no pairs.
      edited: the number of edited y′, one per prompt; 0 for none.

    Raises:
      UserError: the task cannot parse a pair, or there are not as many prompts as edited
        y′.
    """
    if pairs:
        parts = _parts(task, pairs)
        if edited not in (0, len(parts)):
            raise UserError(
                f"--y_prime is given {edited} times for {len(parts)} prompts"
            )
        return [_parse(task, part) for part in parts]
    prompts = task.prompts(edited or number, "test")
    if len(prompts) < edited or not prompts:
        raise UserError(
            f"there are {len(prompts)} prompts in the test split"
            + (f", and --y_prime is given {edited} times" if edited else "")
        )
    return prompts


def _parts(
    task: Task, pairs: Sequence[tuple[str, str]]
) -> list[tuple[tuple[str, str], ...]]:
    """Returns the pairs of each prompt: one, or one of each of `Task.joint_kinds`.

    A kind that is given once is part of every prompt.

    Raises:
      UserError: a prompt would lack a kind.
    """
    if not task.joint_kinds or any(kind not in task.joint_kinds for kind, _ in pairs):
        return [(pair,) for pair in pairs]
    by_kind = {kind: [p for p in pairs if p[0] == kind] for kind in task.joint_kinds}
    counts = {kind: len(given) for kind, given in by_kind.items()}
    number = max(counts.values())
    if not set(counts.values()) <= {1, number}:
        given = " and ".join(f"--{kind} {n} times" for kind, n in counts.items())
        needed = " and one ".join(f"--{kind}" for kind in counts)
        raise UserError(f"a prompt is one {needed}, and given are {given}")
    columns = [given * (number // len(given)) for given in by_kind.values()]
    return list(zip(*columns, strict=True))


def _parse(task: Task, pairs: Sequence[tuple[str, str]]) -> Example:
    """Returns the example of one prompt, whose x may have a field of each pair."""
    parsed = [
        task.parse_prompt(kind, _canonical(task, kind, value)) for kind, value in pairs
    ]
    if len(parsed) == 1:
        return parsed[0]
    return {"x": {name: v for part in parsed for name, v in part["x"].items()}}


def known_kinds() -> dict[str, PromptKind]:
    """Returns the kinds that tasks of this package read, by name, sorted."""
    kinds: dict[str, PromptKind] = {}
    for name in registered_names(Task):
        kinds |= resolve_class(Task, name, "").prompt_kinds
    return dict(sorted(kinds.items()))


def parse(value: str) -> tuple[str, str]:
    """Returns kind and value of a flag `--prompt=kind:value`.

    Raises:
      UserError: it has no kind.
    """
    kind, colon, rest = value.partition(":")
    if not (kind and colon):
        raise UserError(f"--prompt={value} names no kind: write --prompt=kind:value")
    return kind, rest


def _canonical(task: Task, kind: str, value: str) -> str:
    """Returns a text without marks of its encoding, or the absolute path of a file."""
    # A path is checked also where the task does not read it.
    known = task.prompt_kinds.get(kind) or known_kinds().get(kind)
    if known is not None and known.is_file:
        return str(paths.local(value, f"--{kind}"))
    return value.replace(_MARK, "")
