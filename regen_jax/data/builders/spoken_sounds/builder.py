"""Builds `spoken_sounds`: digits and letters, spoken by espeak-ng in many voices."""

import dataclasses
import logging
from collections.abc import Iterable, Iterator
from typing import ClassVar

import tensorflow_datasets as tfds

from regen_jax.data.builders.embedded_builder import EmbeddedBuilder, Examples, wave
from regen_jax.data.builders.spoken_sounds import combinations
from regen_jax.data.builders.spoken_sounds.combinations import Combination
from regen_jax.modalities.audio import files
from regen_jax.modalities.text import espeak

SAMPLE_RATE = 16_000
MAX_SECONDS = 1.0
CREDIT = (
    "Synthetic voices, not people's: espeak-ng (GPL-3.0-or-later) speaks all sounds."
)
VOICE_FILES = (
    *("en_dict", "intonations", "phondata", "phonindex", "phontab"),
    *(f"lang/gmw/{name}" for name in ("en", "en-US", "en-GB-scotland", "en-029")),
    *(f"voices/!v/{variant}" for variant in combinations.VOICES.values()),
)
"""What the sounds depend on besides the library, in the folder of its data."""

logger = logging.getLogger("regen_jax")


def _names(words: Iterable[str]) -> tfds.features.ClassLabel:
    return tfds.features.ClassLabel(names=[*words])


class SpokenSounds(EmbeddedBuilder):
    """Digits and letters of 36 classes in ten voices and four accents; synthetic."""

    RELEASE_NOTES: ClassVar = {
        "1.0.0": "espeakng-loader 0.2.4, espeak-ng 1.52.",
        "1.1.0": "The noise of breathy voices has a seed, in place of the clock.",
    }
    METADATA: ClassVar = {"sample_rate": SAMPLE_RATE, "credit": CREDIT}
    FEATURES: ClassVar = {
        "audio": wave(),
        "label": _names(combinations.CLASSES),
        "accent": _names(combinations.ACCENTS),
        "voice": _names(combinations.VOICES),
        "pitch": _names(combinations.PITCHES),
        "rate": _names(combinations.RATES),
    }
    SUPERVISED_KEYS = ("label", "audio")

    def splits(self) -> dict[str, Examples]:
        espeak.restart()
        # Held-out sounds come first: they stay the same if train is made larger.
        splits = combinations.split_combinations()
        order = ("test", "validation", "train")
        return {name: synthesize(splits[name]) for name in order}


def synthesize(listed: Iterable[Combination]) -> Iterator[tuple[str, dict]]:
    """Yields the key and the example of each combination that lasts 1 s at most."""
    for combination in listed:
        language = combinations.ACCENTS[combination.accent]
        sound, _ = espeak.speak(
            combination.label,
            f"{language}+{combinations.VOICES[combination.voice]}",
            rate=combinations.RATES[combination.rate],
            pitch=combinations.PITCHES[combination.pitch],
        )
        words = dataclasses.asdict(combination)
        if len(sound) > MAX_SECONDS * espeak.SAMPLE_RATE:
            logger.info("left out, as it lasts longer than 1 s: %s", words)
            continue
        audio = files.resample(sound / 2**15, espeak.SAMPLE_RATE, SAMPLE_RATE)
        yield ", ".join(words.values()), {"audio": files.to_int16(audio), **words}
