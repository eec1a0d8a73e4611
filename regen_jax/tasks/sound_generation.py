"""Words → sound: what is said, and by which voice."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Interval

from regen_jax.abstractions.audio.mel import Mel
from regen_jax.data.readers.labeled_sounds import LabeledSounds, open_labeled_sounds
from regen_jax.data.tfds.splits import SetOptions
from regen_jax.errors import UserError
from regen_jax.interfaces import CoreList, Example, Judge, RunVariables, Task
from regen_jax.interfaces.task import Generated, PerExample, PromptKind, SampleMetrics
from regen_jax.judges.sound_classifier import SoundClassifier
from regen_jax.media.media import Media
from regen_jax.media.sounds import render_sounds
from regen_jax.metrics.audio import log_spectral_distance
from regen_jax.metrics.frechet import frechet_distance, half_sample_distances
from regen_jax.modalities.audio import files
from regen_jax.modalities.audio.stft import stft
from regen_jax.modalities.text.labels import LabelWords
from regen_jax.ranges import Count, Rate
from regen_jax.spaces import Array, Tokens

MAX_REFERENCES = 2000
"""The most training sounds that a Fréchet distance compares with, evenly spread."""
MAX_BAND_SHIFT = 3
"""Mel bands by which the sounds are moved that train the judge of the label."""
FRECHET_DRAWS = 20
"""Random halves of the sounds from which `frechet_std` is estimated."""


@dataclasses.dataclass(frozen=True)
class SoundExamples:
    """Words with their sounds, which silence fills up to one length.

    Attributes:
      x: words i32[N, A].
      sounds: of the split.
      num_samples: of a sound with the silence after it.
    """

    x: np.ndarray = dataclasses.field(repr=False)
    sounds: LabeledSounds = dataclasses.field(repr=False)
    num_samples: int

    def __len__(self) -> int:
        return len(self.sounds)

    def __getitem__(self, index: int) -> Example:
        wave = self.sounds.waves[index][: self.num_samples].astype(np.float32) / 2**15
        silence = self.num_samples - len(wave)
        return {"x": self.x[index], "y": np.pad(wave, (0, silence))}


@dataclasses.dataclass(frozen=True)
class SoundGeneration(SetOptions, Task):
    """X is a word for each label of a sound and Y its wave; recognizers judge.

    All Y have one length: silence fills a shorter sound. So a model generates the length
    of a sound with the sound. The words are the classes of the set's feature `label`, and
    those of its other features that have classes, such as a voice and its pitch; a word of
    these may be left out.

    Attributes:
      name: of a prepared set of sounds with labels, such as `spoken_sounds` (synthetic
        voices) or `speech_commands`.
      max_seconds: of a sound with the silence after it; longer sounds are left out.
      sample_rate: to which sounds are resampled, in Hz.
      unspecified: fraction of the words other than that of `label` that training examples
        leave out.
      judge_width: width of the recognizers, which are trained on real sounds.
    """

    num_rendered = 12
    prompt_kinds: ClassVar = {"text": PromptKind("a text to generate from")}

    name: str = "spoken_sounds"
    max_seconds: Annotated[float, Interval(gt=0, le=60)] = 1.024
    sample_rate: Annotated[int, Interval(ge=files.RATES[0], le=files.RATES[1])] = 16_000
    unspecified: Rate = 0.1
    judge_width: Count = 48

    @property
    def x(self) -> Tokens:
        return self.words.space

    @property
    def y(self) -> Array:
        samples = max(1, round(self.max_seconds * self.sample_rate))
        return Array((samples,), -1.0, 1.0)

    @property
    def words(self) -> LabelWords:
        """The words of X."""
        return LabelWords(self.info["names"])

    def read_info(self) -> dict[str, Any]:
        sounds = self._sounds("train")
        names = {feature: list(classes) for feature, classes in sounds.names.items()}
        try:
            LabelWords(names)
        except ValueError as error:
            raise UserError(f"data set {self.name!r}: {error}") from error
        return {"names": names, "credit": sounds.credit}

    def examples(self, split: str) -> SoundExamples:
        sounds = self._sounds(split)
        x = self.words.encode(sounds.labels)
        if split == "train":
            random = np.random.RandomState(0)
            left_out = random.uniform(size=x.shape) < self.unspecified
            left_out[:, 0] = False
            x = np.where(left_out, 0, x)
        return SoundExamples(x, sounds, self.y.shape[0])

    def core_list(self, split: str) -> CoreList:
        """Returns all sounds of a split; those that are longer are its `too_long`."""
        sounds = self._sounds(split)
        longer = self.words.encode(sounds.too_long)
        return CoreList(np.arange(len(sounds)), tuple({"x": row} for row in longer))

    @property
    def judges(self) -> dict[str, Judge]:
        """Recognizers of the label, and if there are any of the other words.

        The former is trained in voices that are moved in frequency, the latter are not:
        they distinguish voices.
        """
        label, *others = enumerate(self.words.id_ranges)
        names = tuple(self.words.names)[1:]
        size = {"sample_rate": self.sample_rate, "width": self.judge_width}
        judge = functools.partial(SoundClassifier, self.x, self.y, **size)
        judges = {"judge": judge((label,), max_band_shift=MAX_BAND_SHIFT)}
        if others:
            judges["voice_judge"] = judge(tuple(others), names=names)
        return judges

    def parse_prompt(self, kind: str, value: str) -> Example:
        if kind != "text":
            raise UserError(f"sound_generation reads --text=WORDS, not --{kind}")
        return {"x": self.words.parse(value)}

    def sample_metrics(self, variables: RunVariables) -> SampleMetrics:
        """Returns metrics of sounds by the judge and the training sounds.

        `accuracy`: fraction whose label the judge recognizes; `held_out_accuracy` of those
        with two words that no training sound has together. `voice_accuracy`, say: the same
        of the other words. `frechet`: Fréchet distance on the judge's features to
        `MAX_REFERENCES` training sounds, and `frechet_std` its deviation, from
        `FRECHET_DRAWS` random halves. `log_spectral_distance`: to the references in dB.
        """
        train = self.examples("train")
        rows = np.linspace(0, len(train) - 1, min(len(train), MAX_REFERENCES))
        waves = np.stack([train[int(row)]["y"] for row in rows])
        _, reference = self._predict(variables, waves)
        seen = self.words.encode(train.sounds.labels)

        def metrics(generated: Generated) -> dict[str, float]:
            prompts, y, too_long = generated
            x = np.asarray(prompts["x"])
            words, features = self._predict(variables, y)
            right, held_out = words == x, self.words.has_unseen_pair(x, seen)
            values = {"accuracy": float(right[:, 0].sum() / (len(x) + len(too_long)))}
            if held_out.any():
                values["held_out_accuracy"] = float(right[held_out, 0].mean())
            for column, feature in enumerate(self.words.names):
                present = x[:, column] > 0
                if column and present.any():
                    accuracy = float(right[present, column].mean())
                    values[f"{feature}_accuracy"] = accuracy
            if len(y) > 3 and np.isfinite(features).all():
                draws = half_sample_distances(features, reference, FRECHET_DRAWS)
                values["frechet"] = frechet_distance(features, reference)
                values["frechet_std"] = float(np.std(draws, ddof=1))
            if "y" in prompts:
                values |= self.reconstruction_metrics(prompts["y"], y)
            return values

        return metrics

    def per_example(self, variables: RunVariables, generated: Generated) -> PerExample:
        """Returns the words of each prompt, and whether the judge recognizes the label."""
        prompts, y, too_long = generated
        words, _ = self._predict(variables, y)
        x = np.stack([*prompts["x"], *(example["x"] for example in too_long)])
        right = np.zeros(len(x))
        right[: len(words)] = words[:, 0] == x[: len(words), 0]
        return {
            "words": self.words.decode(x),
            "accuracy": np.stack([right, np.ones(len(x))], axis=1),
        }

    def reconstruction_metrics(
        self, y: np.ndarray, other: np.ndarray
    ) -> dict[str, float]:
        """Computes `log_spectral_distance`, the mean over pairs in dB."""
        pairs = zip(_magnitudes(y), _magnitudes(other), strict=True)
        distances = [log_spectral_distance(*pair) for pair in pairs]
        return {"log_spectral_distance": float(np.mean(distances))}

    def speed_metrics(self, y: np.ndarray, seconds: float) -> dict[str, float]:
        """Computes `real_time_factor`: seconds of computation per second of sound."""
        return {"real_time_factor": seconds / (len(y) * self.max_seconds)}

    def render_samples(self, prompts: Example, y: np.ndarray) -> Media:
        """Renders sounds and some spectrograms, beside references if there are any."""
        versions = {"samples": y}
        if "y" in prompts:
            versions["references"] = prompts["y"]
        return self._beside("samples", versions, self.words.decode(prompts["x"]))

    def render_reconstructions(self, y: np.ndarray, other: np.ndarray) -> Media:
        """Renders sounds beside their reconstructions."""
        versions = {"originals": y, "reconstructions": other}
        return self._beside("reconstructions", versions, [*map(str, range(len(y)))])

    def _predict(
        self, variables: RunVariables, y: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns recognized words i32[N, A], and features f32[N, D] of the label judge."""
        outputs = [
            judge.predict(variables[name], np.asarray(y))
            for name, judge in self.judges.items()
        ]
        words, features = zip(*outputs, strict=True)
        return np.concatenate(words, axis=1), features[0]

    def _beside(
        self, name: str, versions: Mapping[str, np.ndarray], texts: Sequence[str]
    ) -> Media:
        """Renders versions of sounds, with their words and the credit line of the set."""
        mels = {
            version: [*jax.device_get(_log_mel(self, y[: self.num_rendered]))]
            for version, y in versions.items()
        }
        waves = {version: [*y] for version, y in versions.items()}
        media = render_sounds(name, waves, mels, texts, self.sample_rate)
        lines = [f"- {index}: {text}" for index, text in enumerate(texts)]
        media.texts[name] = "\n".join([*lines, "", self.info["credit"]]).rstrip()
        return media

    def _sounds(self, split: str) -> LabeledSounds:
        stored = self.splits.stored(split)
        return _open(self.name, stored, self.dir, self.sample_rate, self.max_seconds)


@functools.lru_cache(maxsize=4)
def _open(name: str, split: str, folder: str, rate: int, most: float) -> LabeledSounds:
    return open_labeled_sounds(name, split, folder, rate, most)


@functools.partial(jax.jit, static_argnums=0)
def _log_mel(task: SoundGeneration, y: jax.Array) -> jax.Array:
    return Mel(task.y, sample_rate=task.sample_rate).encode({}, y)


def _magnitudes(y: np.ndarray) -> np.ndarray:
    """Computes STFT magnitudes f32[N, T, 513] of sounds f32[N, S]."""
    return np.asarray(jnp.abs(stft(y)))
