"""What a person can look at, listen to or read: pictures, sounds and texts."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np

from regen_jax.media.image_grid import save_png
from regen_jax.modalities.audio import files


@dataclasses.dataclass
class Exhibit:
    """Things to show, by name.

    Attributes:
      images: uint8 [H, W, 3].
      audio: float32 [N] in [-1, 1], and its samples a second.
      texts: Markdown.
      files: by name with its ending, a function that writes a file at a path. They are
        made for people who ask for samples, and not shown while training.
    """

    images: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    audio: dict[str, tuple[np.ndarray, int]] = dataclasses.field(default_factory=dict)
    texts: dict[str, str] = dataclasses.field(default_factory=dict)
    files: dict[str, Callable[[Path], None]] = dataclasses.field(default_factory=dict)

    def add(self, other: "Exhibit") -> Self:
        """Takes in what another one shows."""
        self.images |= other.images
        self.audio |= other.audio
        self.texts |= other.texts
        self.files |= other.files
        return self

    def save(self, folder: Path) -> list[Path]:
        """Writes PNG, WAV, Markdown and other files, named after the things."""
        paths = []
        for name, image in self.images.items():
            paths.append(folder / f"{name}.png")
            save_png(paths[-1], image)
        for name, (wave, sample_rate) in self.audio.items():
            paths.append(folder / f"{name}.wav")
            files.write(paths[-1], wave, sample_rate)
        for name, text in self.texts.items():
            paths.append(folder / f"{name}.md")
            paths[-1].write_text(text + "\n", encoding="utf-8")
        for name, write in self.files.items():
            paths.append(folder / name)
            write(paths[-1])
        return paths
