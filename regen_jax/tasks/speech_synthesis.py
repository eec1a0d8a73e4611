"""Text → speech."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import ClassVar

import jax
import numpy as np

from regen_jax.abstractions.audio.mel import Mel
from regen_jax.data.readers.speech import Pairs, open_speech
from regen_jax.errors import UserError
from regen_jax.interfaces import Example, Judge, RunVariables
from regen_jax.interfaces.task import Generated, PromptKind, SampleMetrics
from regen_jax.judges.speech_recognizer import SpeechRecognizer
from regen_jax.media.media import Media
from regen_jax.media.sounds import render_sounds
from regen_jax.metrics.audio import mel_cepstral_distortion
from regen_jax.ranges import Count
from regen_jax.spaces import Array, Padded, Tokens
from regen_jax.tasks.transcripts import TranscriptTask


@dataclasses.dataclass(frozen=True)
class SpeechSynthesis(TranscriptTask):
    """X is a text in characters, Y the wave of its speech; a recognizer judges.

    Attributes:
      judge_width: width of the recognizer, which is trained on real pairs.
      judge_layers: its layers.
    """

    num_rendered = 6
    prompt_kinds: ClassVar = {"text": PromptKind("a text to generate from")}

    judge_width: Count = 128
    judge_layers: Count = 2

    @property
    def x(self) -> Tokens:
        return self.text

    @property
    def y(self) -> Array:
        return self.wave

    def examples(self, split: str) -> Sequence[Example]:
        speech = open_speech(self, split)
        if speech.space != self.wave:
            raise UserError(
                f"data set {self.name!r} has features of speech in place of waves, "
                "which cannot be learned to be spoken: use spoken_bible"
            )
        return Pairs(speech, x="text", y="speech")

    @property
    def judges(self) -> dict[str, Judge]:
        size = {"width": self.judge_width, "num_layers": self.judge_layers}
        return {"judge": SpeechRecognizer(self.x, self.y, self.sample_rate, **size)}

    def parse_prompt(self, kind: str, value: str) -> Example:
        if kind != "text":
            raise UserError(f"speech synthesis reads --text=TEXT, not --{kind}")
        return {"x": self.encode(value)}

    def transcripts(
        self, variables: RunVariables, prompts: Example, y: Padded
    ) -> tuple[list[str], list[str]]:
        heard = self.judges["judge"].transcribe(variables["judge"], y)
        return self.decode(prompts["x"]), self.decode(heard)

    def sample_metrics(self, variables: RunVariables) -> SampleMetrics:
        """Adds the distance to references to the error rates of a recognizer.

        `mcd`: mel-cepstral distortion in dB after warping, where there is a reference.
        """
        transcript_metrics = super().sample_metrics(variables)

        def metrics(generated: Generated) -> dict[str, float]:
            values = transcript_metrics(generated)
            if "y" in generated.prompts:
                values |= self.reconstruction_metrics(
                    generated.prompts["y"], generated.y
                )
            return values

        return metrics

    def reconstruction_metrics(self, y: Padded, other: Padded) -> dict[str, float]:
        """Computes `mcd`, mean mel-cepstral distortion in dB of pairs with a frame each.

        Empty sounds are left out here; error rates count them.
        """
        pairs = zip(self._mels(y), self._mels(other), strict=True)
        values = [mel_cepstral_distortion(*p) for p in pairs if all(map(len, p))]
        return {"mcd": float(np.mean(values))} if values else {}

    def speed_metrics(self, y: Padded, seconds: float) -> dict[str, float]:
        """Computes `real_time_factor`: seconds of computation per second of speech."""
        spoken = float(np.sum(y.length)) / self.sample_rate
        return {"real_time_factor": seconds / spoken} if spoken else {}

    def render_samples(self, prompts: Example, y: Padded) -> Media:
        """Renders sounds and some spectrograms, beside references if there are any."""
        texts = self.decode(prompts["x"])
        versions = {"samples": y}
        if "y" in prompts:
            versions["references"] = prompts["y"]
        return self._beside("samples", versions, texts)

    def render_reconstructions(self, y: Padded, other: Padded) -> Media:
        """Renders waves beside their reconstructions."""
        numbers = [str(i) for i in range(len(y.length))]
        versions = {"originals": y, "reconstructions": other}
        return self._beside("reconstructions", versions, numbers)

    def _beside(
        self, name: str, versions: dict[str, Padded], texts: list[str]
    ) -> Media:
        """Renders each version as sounds, and the first ones in one picture."""
        waves, mels = {}, {}
        for version, y in versions.items():
            waves[version] = [wave[:length] for wave, length in zip(*y, strict=True)]
            first = Padded(*(part[: self.num_rendered] for part in y))
            mels[version] = self._mels(first)
        return render_sounds(name, waves, mels, texts, self.sample_rate)

    def _mels(self, y: Padded) -> list[np.ndarray]:
        """Computes the log-mel spectrogram f32[T, 80] of each wave."""
        mels = jax.device_get(_spectrograms(_mel(self.wave, self.sample_rate), y))
        return [m[:n] for m, n in zip(mels.values, mels.length, strict=True)]


def _mel(wave: Array, sample_rate: int) -> Mel:
    return Mel(wave, sample_rate=sample_rate)


@functools.partial(jax.jit, static_argnums=0)
def _spectrograms(mel: Mel, y: Padded) -> Padded:
    return mel.encode({}, y)
