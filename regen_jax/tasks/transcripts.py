"""Texts beside what was recognized, for people and as figures."""

from collections.abc import Sequence

from regen_jax.errors import UserError
from regen_jax.interfaces import Example
from regen_jax.metrics.error_rates import (
    character_error_rate,
    sequence_error_rate,
    word_error_rate,
)


def error_rates(
    references: Sequence[str],
    hypotheses: Sequence[str],
    too_long: Sequence[Example] = (),
) -> dict[str, float]:
    """`wer` and `cer` over all texts, and `sentence_accuracy`: the share all right.

    Args:
      references: what was said.
      hypotheses: what was recognized, one per reference.
      too_long: examples with the `text` of more references, whose hypotheses are empty.

    Raises:
      UserError: the package `jiwer` is missing.
    """
    references = [*references, *(example["text"] for example in too_long)]
    hypotheses = [*hypotheses, *("" for _ in too_long)]
    try:
        return {
            "wer": word_error_rate(references, hypotheses),
            "cer": character_error_rate(references, hypotheses),
            "sentence_accuracy": 1 - sequence_error_rate(references, hypotheses),
        }
    except ModuleNotFoundError as error:
        raise UserError(
            f"error rates need the package {error.name}: run "
            "`pip install 'regen-jax[speech]'`"
        ) from error


def table(heads: Sequence[str], *columns: Sequence[str]) -> str:
    """A Markdown table."""
    rows = [heads, ["---"] * len(heads), *zip(*columns, strict=True)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
