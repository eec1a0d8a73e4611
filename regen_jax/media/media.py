"""Images, sounds, videos and texts that a report or `sample` shows."""

import dataclasses
import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

from regen_jax.errors import UserError
from regen_jax.files import replaced, write_atomically
from regen_jax.media.video import Video, encode_gif, write_mp4
from regen_jax.modalities.audio import files

logger = logging.getLogger(__name__)


@dataclasses.dataclass
class Media:
    """Named images, sounds, videos, texts and files.

    Attributes:
      images: u8[H, W, 3] each.
      audio: a wave f32[N] in [-1, 1] and its sample rate in Hz each.
      texts: Markdown.
      files: for each file name, a function that writes the file at a path. Only
        `sample` writes them; reports in training do not.
      videos: frames, and the sound that belongs to them.
    """

    images: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    audio: dict[str, tuple[np.ndarray, int]] = dataclasses.field(default_factory=dict)
    texts: dict[str, str] = dataclasses.field(default_factory=dict)
    files: dict[str, Callable[[Path], None]] = dataclasses.field(default_factory=dict)
    videos: dict[str, Video] = dataclasses.field(default_factory=dict)

    def update(self, other: "Media") -> Self:
        """Adds all entries of `other` in place; they replace those of the same name."""
        self.images |= other.images
        self.audio |= other.audio
        self.videos |= other.videos
        self.texts |= other.texts
        self.files |= other.files
        return self

    def save(self, folder: str | Path) -> list[Path]:
        """Writes each entry to a file in `folder`, which is made, named after it.

        Images become PNG, sounds WAV, videos GIF and MP4, texts Markdown. Without PyAV a
        video becomes a GIF alone, and a warning says so. A file of that name is replaced
        by a whole one, or unchanged.

        Returns:
          The paths of the files.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, image in self.images.items():
            paths.append(folder / f"{name}.png")
            write_png(paths[-1], image)
        for name, (wave, sample_rate) in self.audio.items():
            paths.append(folder / f"{name}.wav")
            files.write(paths[-1], wave, sample_rate)
        for name, video in self.videos.items():
            paths.append(folder / f"{name}.gif")
            write_atomically(paths[-1], encode_gif(video))
            try:
                write_mp4(folder / f"{name}.mp4", video)
                paths.append(folder / f"{name}.mp4")
            except UserError as error:
                logger.warning("wrote %s.gif alone: %s", name, error)
        for name, text in self.texts.items():
            paths.append(folder / f"{name}.md")
            write_atomically(paths[-1], text + "\n")
        for name, write in self.files.items():
            paths.append(folder / name)
            with replaced(paths[-1]) as partial:
                write(partial)
        return paths


def write_png(path: Path, image: np.ndarray) -> None:
    """Writes u8[H, W, C] with 1, 3 or 4 channels as an optimized PNG file."""
    image = image.squeeze(-1) if image.shape[-1] == 1 else image
    content = io.BytesIO()
    Image.fromarray(image).save(content, format="PNG", optimize=True)
    write_atomically(path, content.getvalue())
