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
    if pairs and edited not in (0, len(pairs)):
        raise UserError(f"--y_prime is given {edited} times for {len(pairs)} prompts")
    if pairs:
        return [
            task.parse_prompt(kind, _canonical(task, kind, value))
            for kind, value in pairs
        ]
    prompts = task.prompts(edited or number, "test")
    if len(prompts) < edited or not prompts:
        raise UserError(
            f"there are {len(prompts)} prompts in the test split"
            + (f", and --y_prime is given {edited} times" if edited else "")
        )
    return prompts


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
