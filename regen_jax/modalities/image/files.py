"""Reading of picture files that a person gives."""

import io
import logging
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from regen_jax.errors import UserError, reason
from regen_jax.modalities.image.resize import resize_and_crop

logger = logging.getLogger("regen_jax")

_ORIENTATION, _TURNS = 274, range(2, 9)
"""The EXIF tag of the way up."""


def read_picture(path: str, size: int) -> np.ndarray:
    """Reads a picture the way up that its EXIF data say, u8[size, size, 3].

    Another size is cropped to the central square and resized, a picture on its side is
    turned, what is transparent becomes white, channels of 16 bits keep the upper 8, and
    of several pictures the first is taken; each is logged.

    Raises:
      UserError: the file is missing, damaged, no picture, or has one channel of more than
        8 bits.
    """
    if Path(path).is_dir():
        raise UserError(f"picture {path!r} is a folder: give a PNG or JPEG file")
    if not Path(path).is_file():
        raise UserError(f"there is no picture {path!r}")
    try:
        image, changes = _open(path)
    except UnidentifiedImageError as error:
        raise UserError(
            f"{path!r} is no picture that can be read: write it as PNG or JPEG"
        ) from error
    # Damage shows as almost any exception of Pillow.
    except Exception as error:
        raise UserError(f"picture {path!r} cannot be read: {reason(error)}") from error
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise UserError(
            f"picture {path!r} has pixels of Pillow's mode {image.mode!r}: write it with 8 "
            "bits per channel"
        )
    # Cameras store the way up beside the pixels.
    upright = ImageOps.exif_transpose(image)
    if image.getexif().get(_ORIENTATION) in _TURNS:
        changes.append("turned as its EXIF data say")
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        if upright.getextrema()[3][0] < 255:
            changes.append("laid on white where it is transparent")
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright)
    if upright.size != (size, size):
        changes.append(f"cropped and resized to {size} × {size}")
    if changes:
        width, height = upright.size
        logger.info(
            "picture %s: %d × %d pixels; %s", path, width, height, ", ".join(changes)
        )
    return resize_and_crop(upright, size)


def _open(path: str) -> tuple[Image.Image, list[str]]:
    """Returns the first picture of a file, and what is lost of the file."""
    with warnings.catch_warnings():
        # Pillow warns of half the size from which it raises an error.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(Path(path).read_bytes())) as image:
            lost = []
            if any(";16" in str(tile[-1]) for tile in image.tile):
                lost.append("upper 8 of 16 bits per channel")
            if getattr(image, "n_frames", 1) > 1:
                lost.append(f"first of {image.n_frames} pictures")
            image.load()
            return image, lost
