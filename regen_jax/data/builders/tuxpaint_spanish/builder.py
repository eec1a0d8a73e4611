"""Spanish captions of Tux Paint's stamps, read by people, as a TFDS set."""

import hashlib
import io
import lzma
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.errors import UserError
from regen_jax.modalities.audio import files
from regen_jax.modalities.text.characters import normalize

SAMPLE_RATE = 22_050
HELD_OUT_FRACTION = 0.1
SPLIT_SEED = 0
MAX_DEVIATIONS = 3.0
VARIABLE = "TUXPAINT_STAMPS"
"""Environment variable that names the .deb file or a folder of stamps."""

Clips = dict[str, tuple[str, np.ndarray]]
"""Text and int16 [N] at `SAMPLE_RATE`, by the name of the stamp."""

_INSTALLED = "/usr/share/tuxpaint/stamps"
_SOUND, _TEXT = "_desc_es.ogg", ".txt"


class TuxpaintSpanish(tfds.core.GeneratorBasedBuilder):
    """About 750 short texts in Spanish, no text in two splits; human voices."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "1.0.0": "tuxpaint-stamps-default 2022.06.04-1.",
        "2.0.0": "A tenth of the texts is `validation`; test is as it was.",
    }

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "Descriptions of the stamps of the drawing program Tux Paint, read in "
                "Spanish by people; GPL-2. One channel of 22,050 Hz. A tenth of the "
                "texts is for validation, and a tenth for testing. Left out are sounds "
                "that occur twice, and those whose duration is more than 3 "
                "standard deviations off the linear fit of duration to number of "
                "characters: they say something else."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "text": tfds.features.Text(),
                    "audio": tfds.features.Tensor(
                        shape=(None,), dtype=np.int16, encoding="bytes"
                    ),
                }
            ),
            metadata=tfds.core.MetadataDict(sample_rate=SAMPLE_RATE),
            homepage="https://tuxpaint.org/stamps/",
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator]:
        clips = fitting(read_clips(stamps_path()))
        return {
            split: self._generate_examples(clips, names)
            for split, names in split_texts(clips).items()
        }

    def _generate_examples(
        self, clips: Clips, names: set[str]
    ) -> Iterator[tuple[str, dict]]:
        for name in sorted(names):
            text, audio = clips[name]
            yield name, {"text": text, "audio": audio}


def stamps_path() -> Path:
    """The .deb file or folder that `TUXPAINT_STAMPS` names, or the installed stamps.

    Raises:
      UserError: there is neither.
    """
    path = Path(os.environ.get(VARIABLE) or _INSTALLED).expanduser()
    if path.exists():
        return path
    raise UserError(
        f"there are no stamps of Tux Paint at {path}: install the Debian package "
        "tuxpaint-stamps-default, or run `apt-get download tuxpaint-stamps-default` and "
        f"set {VARIABLE} to the .deb file"
    )


def read_clips(path: Path) -> Clips:
    """Clips with a text, from a .deb file or a folder; sounds that recur, only once.

    Raises:
      UserError: the .deb file is damaged or of another compression, a sound is damaged,
        or there is no clip.
    """
    stored = dict(_folder_files(path) if path.is_dir() else _package_files(path))
    clips, seen = {}, set()
    for name in sorted(name for name in stored if name.endswith(_SOUND)):
        stamp = name.removesuffix(_SOUND)
        text = _spanish(stored.get(stamp + _TEXT, b""))
        digest = hashlib.sha256(stored[name]).digest()
        if text and digest not in seen:
            seen.add(digest)
            wave = files.decode(stored[name], SAMPLE_RATE, f"{name} in {path}")
            clips[stamp] = text, files.to_int16(wave)
    if not clips:
        raise UserError(f"{path} holds no Spanish recordings of Tux Paint")
    return clips


def fitting(clips: Clips) -> Clips:
    """Those within 3 standard deviations of the line duration ~ characters."""
    characters = np.array([len(normalize(text)) for text, _ in clips.values()])
    durations = np.array([len(audio) for _, audio in clips.values()])
    line = np.polynomial.Polynomial.fit(characters, durations, 1)
    off = durations - line(characters)
    fits = np.abs(off) <= MAX_DEVIATIONS * off.std()
    return {
        name: clip for (name, clip), fit in zip(clips.items(), fits, strict=True) if fit
    }


def split_texts(clips: Clips) -> dict[str, set[str]]:
    """Names of the clips of each split; all clips of a normalized text are in one.

    The texts are permuted by NumPy's `RandomState(0)`: the first tenth is `test`, the
    next `validation`.
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


def _spanish(lines: bytes) -> str:
    for line in lines.decode("utf-8").splitlines():
        if line.startswith("es.utf8="):
            return line.removeprefix("es.utf8=").strip()
    return ""


def _wanted(name: str) -> bool:
    return name.endswith((_SOUND, _TEXT))


def _folder_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        if _wanted(path.name) and path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def _package_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Files of a Debian package: an `ar` archive, see deb(5), with a tar file inside."""
    try:
        with open(path, "rb") as package:
            _find_data(package)
            # The tar file is the last member: what follows it is not read.
            with tarfile.open(fileobj=package, mode="r|*") as archive:
                for member in archive:
                    if member.isfile() and _wanted(member.name):
                        name = member.name.partition("stamps/")[2] or member.name
                        yield name, archive.extractfile(member).read()
    except (tarfile.TarError, lzma.LZMAError, EOFError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read as a Debian package: {error}; unpack it by "
            f"`dpkg-deb -x {path} FOLDER` and set {VARIABLE} to FOLDER"
        ) from error


def _find_data(package: io.BufferedReader) -> None:
    """Moves to the content of the member `data.tar`, of any compression."""
    if package.read(8) != b"!<arch>\n":
        raise ValueError("it is no ar archive")
    while header := package.read(60):
        name, size = header[:16].decode().strip(), int(header[48:58])
        if name.startswith("data.tar"):
            return
        package.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError("it holds no data.tar")
