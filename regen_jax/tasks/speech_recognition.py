"""Speech → text."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from regen_jax.data.readers.speech import Pairs, open_speech
from regen_jax.errors import UserError
from regen_jax.interfaces import Example, RunVariables
from regen_jax.interfaces.task import PromptKind
from regen_jax.media.markdown import table
from regen_jax.media.media import Media
from regen_jax.spaces import Array, Padded, Tokens
from regen_jax.tasks.transcripts import TranscriptTask, error_rates


@dataclasses.dataclass(frozen=True)
class SpeechRecognition(TranscriptTask):
    """X is speech, a wave or features of one, and Y its text in characters."""

    num_rendered = 20
    prompt_kinds: ClassVar = {
        "audio": PromptKind("a file of speech to generate from", is_file=True)
    }

    name: str = "spoken_digits"

    @property
    def x(self) -> Array:
        return Array(**self.info["speech"])

    @property
    def y(self) -> Tokens:
        return self.text

    def read_info(self) -> dict[str, Any]:
        space = dataclasses.asdict(open_speech(self, "test").space)
        # JSON has no infinity: a missing bound is none.
        return {"speech": {k: v for k, v in space.items() if abs(np.max(v)) < np.inf}}

    def examples(self, split: str) -> Sequence[Example]:
        return Pairs(open_speech(self, split), x="speech", y="text")

    def parse_prompt(self, kind: str, value: str) -> Example:
        if kind != "audio":
            raise UserError(f"speech recognition reads --audio=FILE, not --{kind}")
        if self.x != self.wave:
            raise UserError(
                f"data set {self.name!r} has features of speech in place of waves, so "
                "this run cannot read files: train with data=spoken_bible for that"
            )
        return {"x": self.read_wave(value)}

    def transcripts(
        self, variables: RunVariables, prompts: Example, y: np.ndarray
    ) -> tuple[list[str], list[str]]:
        return self.decode(prompts["y"]), self.decode(y)

    def reconstruction_metrics(
        self, y: np.ndarray, other: np.ndarray
    ) -> dict[str, float]:
        """Computes the error rates of reconstructions from the true Y′."""
        return error_rates(self.decode(y), self.decode(other))

    def render_samples(self, prompts: Example, y: np.ndarray) -> Media:
        """Renders a table of transcripts and references, and the first wave."""
        columns = {"recognized": self.decode(y)}
        if "y" in prompts:
            columns = {"text": self.decode(prompts["y"])} | columns
        media = Media(texts={"samples": table(columns)})
        if self.x == self.wave:
            waves = Padded(*prompts["x"])
            wave = np.asarray(waves.values[0][: waves.length[0]])
            media.audio["heard"] = (wave, self.sample_rate)
        return media

    def render_reconstructions(self, y: np.ndarray, other: np.ndarray) -> Media:
        """Renders a table of texts and their reconstructions."""
        columns = {
            "text": self.decode(y),
            "from the true abstraction": self.decode(other),
        }
        return Media(texts={"reconstructions": table(columns)})
