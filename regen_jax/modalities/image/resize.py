"""Resizing of pictures to what models read."""

import numpy as np
from PIL import Image


def resize_short_side(image: Image.Image, size: int) -> Image.Image:
    """Returns a picture whose shorter side has `size` pixels.

    As by Dhariwal and Nichol (arXiv 2105.05233): halved by boxes while the shorter side
    is at least twice the size, then resized by bicubic interpolation.
    """
    while min(image.size) >= 2 * size:
        image = image.resize(
            (image.width // 2, image.height // 2), Image.Resampling.BOX
        )
    scale = size / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    if (width, height) != image.size:
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return image


def resize_and_crop(image: Image.Image, size: int) -> np.ndarray:
    """Returns the central square of a picture, u8[size, size, 3].

    It is resized as `resize_short_side` does, and cropped.
    """
    image = resize_short_side(image.convert("RGB"), size)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    pixels = np.asarray(image.crop((left, top, left + size, top + size)))
    pixels.flags.writeable = False
    return pixels
