"""Text → speech."""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from regen_jax.abstractions.audio.mel import Mel
from regen_jax.data.readers.speech import Pairs, SpeechOptions, open_speech
from regen_jax.errors import UserError
from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.interfaces import (
    Example,
    Generated,
    Judge,
    LossOutput,
    PerExample,
    SampleMetrics,
    Task,
    Variables,
)
from regen_jax.media.heatmaps import render_spectrograms
from regen_jax.media.media import Media
from regen_jax.metrics.audio import mel_cepstral_distortion
from regen_jax.ranges import Count
from regen_jax.spaces import Array, Padded, Tokens
from regen_jax.tasks.transcripts import error_rates, per_example


@dataclasses.dataclass(frozen=True)
class SpeechSynthesis(SpeechOptions, Task):
    """X is a text in characters, Y the wave of its speech; a recognizer judges.

    Attributes:
      judge_width: width of the recognizer, which is trained on real pairs.
      judge_layers: its layers.
    """

    num_rendered = 6

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
        options = {"width": self.judge_width, "layers": self.judge_layers}
        return {"judge": Recogniser(self.x, self.y, self.sample_rate, **options)}

    def parse_prompt(self, kind: str, value: str) -> Example:
        if kind != "text":
            raise UserError(f"speech synthesis reads --text=TEXT, not --{kind}")
        return {"x": self.encode(value)}

    def sample_metrics(self, variables: Mapping[str, Variables]) -> SampleMetrics:
        """What the recogniser and the reference say of speech.

        `wer`, `cer` and `sentence_accuracy` of the recogniser's transcripts; `mcd`, the
        mel-cepstral distortion in dB after warping, where there is a reference.
        """
        transcribe = functools.partial(
            self.judges["judge"].transcribe, variables["judge"]
        )

        def metrics(generated: Generated) -> dict[str, float]:
            prompts, y, too_long = generated
            heard = self.decode(transcribe(y))
            values = error_rates(self.decode(prompts["x"]), heard, too_long)
            if "y" in prompts:
                values |= self.reconstruction_metrics(prompts["y"], y)
            return values

        return metrics

    def per_example(
        self, variables: Mapping[str, Variables], generated: Generated
    ) -> PerExample:
        """Texts beside what the recognizer heard, and its errors."""
        prompts, y, too_long = generated
        heard = self.judges["judge"].transcribe(variables["judge"], y)
        return per_example(self.decode(prompts["x"]), self.decode(heard), too_long)

    def reconstruction_metrics(self, y: Padded, other: Padded) -> dict[str, float]:
        """`mcd`: mean mel-cepstral distortion in dB over pairs that both have a frame.

        Empty sounds are left out here; error rates count them.
        """
        pairs = zip(self._mels(y), self._mels(other), strict=True)
        values = [mel_cepstral_distortion(*p) for p in pairs if all(map(len, p))]
        return {"mcd": float(np.mean(values))} if values else {}

    def speed_metrics(self, y: Padded, seconds: float) -> dict[str, float]:
        """`real_time_factor`: seconds of work per second of speech; below 1 is faster."""
        spoken = float(np.sum(y.length)) / self.sample_rate
        return {"real_time_factor": seconds / spoken} if spoken else {}

    def render_samples(self, prompts: Example, y: Padded) -> Media:
        """Sounds and some spectrograms, each beside its reference where it has one."""
        texts = self.decode(prompts["x"])
        versions = {"samples": y}
        if "y" in prompts:
            versions["references"] = prompts["y"]
        return self._beside("samples", versions, texts)

    def render_reconstructions(self, y: Padded, other: Padded) -> Media:
        """Waves beside the same from their true Y′."""
        numbers = [str(i) for i in range(len(y.length))]
        versions = {"originals": y, "reconstructions": other}
        return self._beside("reconstructions", versions, numbers)

    def _beside(
        self, name: str, versions: dict[str, Padded], texts: list[str]
    ) -> Media:
        """The waves of each version as sounds, and one picture of the first ones."""
        media, pictures, labels = Media(), [], []
        for version, y in versions.items():
            for index, (wave, length) in enumerate(zip(*y, strict=True)):
                sound = np.asarray(wave[:length], np.float32), self.sample_rate
                media.audio[f"{version}_{index}"] = sound
            pictures.append(
                self._mels(Padded(*(part[: self.num_rendered] for part in y)))
            )
            labels.append([f"{version}: {text}" for text in texts[: self.num_rendered]])
        media.images[name] = render_spectrograms(
            [mel for example in zip(*pictures, strict=True) for mel in example],
            [label for example in zip(*labels, strict=True) for label in example],
            columns=len(versions),
        )
        return media

    def _mels(self, y: Padded) -> list[np.ndarray]:
        """Log-mel spectrograms f32[T, 80] of each wave."""
        mels = jax.device_get(_spectrograms(_mel(self.wave, self.sample_rate), y))
        return [m[:n] for m, n in zip(mels.values, mels.length, strict=True)]


@dataclasses.dataclass(frozen=True)
class Recogniser(Judge):
    """Speech → characters, by the project's own generator, on log-mel frames."""

    x: Tokens
    y: Array
    sample_rate: int
    width: int
    layers: int

    def init(self, rng: jax.Array, x: jax.Array, y: Padded) -> Variables:
        return self._generator.init(rng)

    def loss(
        self,
        variables: Variables,
        keys: jax.Array,
        x: jax.Array,
        y: Padded,
        train: bool,
    ) -> LossOutput:
        return self._generator.loss(variables, keys, self._features(y), x, train)

    def transcribe(
        self, variables: Variables, y: Padded, batch_size: int = 100
    ) -> np.ndarray:
        """Ids int32[N, length] of the texts of waves [N, …]."""
        count = math.ceil(len(y.length) / batch_size)
        parts = zip(*(np.array_split(part, count) for part in y), strict=True)
        heard = [self._transcribe(variables, Padded(*part)) for part in parts]
        return np.concatenate(heard)

    @functools.partial(jax.jit, static_argnums=0)
    def _transcribe(self, variables: Variables, y: Padded) -> jax.Array:
        keys = jax.random.split(jax.random.key(0), y.length.shape[0])
        return self._generator.sample(variables, keys, self._features(y))

    def _features(self, y: Padded) -> Padded:
        return _mel(self.y, self.sample_rate).encode({}, y)

    @property
    def _generator(self) -> Autoregressive:
        return Autoregressive(
            _mel(self.y, self.sample_rate).output_space,
            self.x,
            width=self.width,
            num_layers=self.layers,
            encoder_layers=self.layers,
            conditioning="cross",
            source_stride=4,
            ctc=0.3,
            dropout=0.1,
            source_dropout=0.0,
            beam_size=1,
        )


def _mel(wave: Array, sample_rate: int) -> Mel:
    return Mel(wave, sample_rate=sample_rate)


@functools.partial(jax.jit, static_argnums=0)
def _spectrograms(mel: Mel, y: Padded) -> Padded:
    return mel.encode({}, y)
