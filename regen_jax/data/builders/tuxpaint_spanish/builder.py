"""Builds `tuxpaint_spanish`: Spanish captions of Tux Paint's stamps, read by people."""

from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.builders.embedded_builder import EmbeddedBuilder, Examples, wave
from regen_jax.data.builders.tuxpaint_spanish.stamps import (
    SAMPLE_RATE,
    Clips,
    read_clips,
    stamps_path,
)
from regen_jax.modalities.text.characters import normalize

HELD_OUT_FRACTION = 0.1
SPLIT_SEED = 0
MAX_DEVIATIONS = 3.0


class TuxpaintSpanish(EmbeddedBuilder):
    """About 750 short texts in Spanish, no text in two splits; human voices."""

    RELEASE_NOTES: ClassVar = {
        "1.0.0": "tuxpaint-stamps-default 2022.06.04-1.",
        "2.0.0": "A tenth of the texts is `validation`; test is as it was.",
    }
    METADATA: ClassVar = {"sample_rate": SAMPLE_RATE}
    FEATURES: ClassVar = {"text": tfds.features.Text(), "audio": wave()}

    def splits(self) -> dict[str, Examples]:
        clips = drop_outliers(read_clips(stamps_path()))
        examples = {
            name: {"text": text, "audio": audio}
            for name, (text, audio) in clips.items()
        }
        return {
            split: ((name, examples[name]) for name in sorted(names))
            for split, names in split_by_text(clips).items()
        }


def drop_outliers(clips: Clips) -> Clips:
    """Returns the clips within 3 standard deviations of the line duration ~ characters.

    The others say something else than their text.
    """
    characters = np.array([len(normalize(text)) for text, _ in clips.values()])
    durations = np.array([len(audio) for _, audio in clips.values()])
    line = np.polynomial.Polynomial.fit(characters, durations, 1)
    residuals = durations - line(characters)
    fits = np.abs(residuals) <= MAX_DEVIATIONS * residuals.std()
    return {
        name: clip for (name, clip), fit in zip(clips.items(), fits, strict=True) if fit
    }


def split_by_text(clips: Clips) -> dict[str, set[str]]:
    """Returns the names of the clips of each split; clips of one text are in one split.

    The normalized texts are permuted by NumPy's `RandomState(0)`: the first tenth is
    `test`, the next `validation`.
    """
    texts = sorted({normalize(text) for text, _ in clips.values()})
    order = np.random.RandomState(SPLIT_SEED).permutation(len(texts))
    size = round(HELD_OUT_FRACTION * len(texts))
    names = ["test"] * size + ["validation"] * size
    split_of = {texts[row]: name for row, name in zip(order, names, strict=False)}
    splits: dict[str, set[str]] = {"train": set(), "validation": set(), "test": set()}
    for name, (text, _) in clips.items():
        splits[split_of.get(normalize(text), "train")].add(name)
    return splits
