"""Reads the Spanish recordings of Tux Paint's stamps from a package or a folder."""

import hashlib
import io
import lzma
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from regen_jax.errors import UserError
from regen_jax.modalities.audio import files

SAMPLE_RATE = 22_050
VARIABLE = "TUXPAINT_STAMPS"
"""Environment variable that names the .deb file or a folder of stamps."""

Clips = dict[str, tuple[str, np.ndarray]]
"""Text and audio i16[N] at `SAMPLE_RATE`, by the name of the stamp."""

_INSTALLED = "/usr/share/tuxpaint/stamps"
_SOUND, _TEXT = "_desc_es.ogg", ".txt"


def stamps_path() -> Path:
    """Returns the file or folder that `TUXPAINT_STAMPS` names, or the installed stamps.

    Raises:
      UserError: there is neither.
    """
    path = Path(os.environ.get(VARIABLE) or _INSTALLED).expanduser()
    if path.exists():
        return path
    raise UserError(
        f"there are no stamps of Tux Paint at {path}: install the Debian package "
        "tuxpaint-stamps-default, or run `apt-get download tuxpaint-stamps-default` "
        f"and set {VARIABLE} to the .deb file"
    )


def read_clips(path: Path) -> Clips:
    """Reads all clips with a text, without sounds that occurred before.

    Args:
      path: a .deb file or a folder.

    Raises:
      UserError: the .deb file is damaged or of another compression, a sound is damaged,
        or there is no clip.
    """
    stored = dict(_folder_files(path) if path.is_dir() else _package_files(path))
    clips, digests = {}, set()
    for name in sorted(name for name in stored if name.endswith(_SOUND)):
        stamp = name.removesuffix(_SOUND)
        text = _spanish_text(stored.get(stamp + _TEXT, b""))
        digest = hashlib.sha256(stored[name]).digest()
        if text and digest not in digests:
            digests.add(digest)
            wave = files.decode(stored[name], SAMPLE_RATE, f"{name} in {path}")
            clips[stamp] = text, files.to_int16(wave)
    if not clips:
        raise UserError(f"{path} holds no Spanish recordings of Tux Paint")
    return clips


def _spanish_text(lines: bytes) -> str:
    for line in lines.decode("utf-8").splitlines():
        if line.startswith("es.utf8="):
            return line.removeprefix("es.utf8=").strip()
    return ""


def _is_clip_file(name: str) -> bool:
    return name.endswith((_SOUND, _TEXT))


def _folder_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yields the names and contents of the files of clips in a folder."""
    for path in folder.rglob("*"):
        if _is_clip_file(path.name) and path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def _package_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yields the names and contents of the files of clips in a Debian package.

    It is an `ar` archive with a tar file inside, see deb(5).
    """
    try:
        with open(path, "rb") as package:
            _seek_tar_file(package)
            # The tar file is the last member: what follows it is not read.
            with tarfile.open(fileobj=package, mode="r|*") as archive:
                for member in archive:
                    if member.isfile() and _is_clip_file(member.name):
                        name = member.name.partition("stamps/")[2] or member.name
                        yield name, archive.extractfile(member).read()
    except (tarfile.TarError, lzma.LZMAError, EOFError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read as a Debian package: {error}; unpack it by "
            f"`dpkg-deb -x {path} FOLDER` and set {VARIABLE} to FOLDER"
        ) from error


def _seek_tar_file(package: io.BufferedReader) -> None:
    """Seeks the content of the member `data.tar`, of any compression."""
    if package.read(8) != b"!<arch>\n":
        raise ValueError("it is no ar archive")
    while header := package.read(60):
        name, size = header[:16].decode().strip(), int(header[48:58])
        if name.startswith("data.tar"):
            return
        package.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError("it holds no data.tar")
