"""Texts beside their transcripts, for people and as metrics."""

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from regen_jax import extras
from regen_jax.data.readers.speech import SpeechOptions
from regen_jax.interfaces import Example, RunVariables, Task
from regen_jax.interfaces.task import Generated, PerExample, SampleMetrics
from regen_jax.metrics.error_rates import (
    character_edits,
    character_error_rate,
    sequence_error_rate,
    word_edits,
    word_error_rate,
)


@dataclasses.dataclass(frozen=True)
class TranscriptTask(SpeechOptions, Task):
    """A task whose samples are judged by transcripts of speech."""

    @abc.abstractmethod
    def transcripts(
        self, variables: RunVariables, prompts: Example, y: Any
    ) -> tuple[list[str], list[str]]:
        """Returns what was said, and the transcripts, for samples y of the prompts."""

    def sample_metrics(self, variables: RunVariables) -> SampleMetrics:
        """Computes `wer`, `cer` and `sentence_accuracy` of the transcripts."""

        def metrics(generated: Generated) -> dict[str, float]:
            prompts, y, too_long = generated
            return error_rates(*self.transcripts(variables, prompts, y), too_long)

        return metrics

    def per_example(self, variables: RunVariables, generated: Generated) -> PerExample:
        """Returns what was said, transcripts, and their error counts."""
        prompts, y, too_long = generated
        return per_example(*self.transcripts(variables, prompts, y), too_long)


def error_rates(
    references: Sequence[str],
    hypotheses: Sequence[str],
    too_long: Sequence[Example] = (),
) -> dict[str, float]:
    """Computes `wer`, `cer` and `sentence_accuracy`, the fraction without errors.

    Args:
      references: what was said.
      hypotheses: what was recognized, one per reference.
      too_long: examples with the `text` of more references, whose hypotheses are empty.

    Raises:
      UserError: the package `jiwer` is missing.
    """
    references = [*references, *(example["text"] for example in too_long)]
    hypotheses = [*hypotheses, *("" for _ in too_long)]
    _require_jiwer()
    return {
        "wer": word_error_rate(references, hypotheses),
        "cer": character_error_rate(references, hypotheses),
        "sentence_accuracy": 1 - sequence_error_rate(references, hypotheses),
    }


def per_example(
    references: Sequence[str],
    hypotheses: Sequence[str],
    too_long: Sequence[Example] = (),
) -> PerExample:
    """Returns texts and, under the names of `error_rates`, errors and lengths per text.

    The outputs of `too_long`, examples with a `text`, are empty.

    Raises:
      UserError: the package `jiwer` is missing.
    """
    references = [*references, *(example["text"] for example in too_long)]
    hypotheses = [*hypotheses, *("" for _ in too_long)]
    _require_jiwer()
    right = [a == b for a, b in zip(references, hypotheses, strict=True)]
    return {
        "reference": references,
        "output": hypotheses,
        "wer": word_edits(references, hypotheses),
        "cer": character_edits(references, hypotheses),
        "sentence_accuracy": np.stack([right, np.ones(len(right))], axis=1),
    }


def _require_jiwer() -> None:
    extras.require("jiwer", "speech", "an error rate")
