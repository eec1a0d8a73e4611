"""Finds the parts of a clip and follows them, by connected components and moments.

Functions import SciPy's images themselves: that takes a fifth of a second, and all
commands import this module.
"""

import itertools
from typing import NamedTuple

import numpy as np

_GAP = 1
"""Pixels by which masks are dilated: parts of a broken stroke belong together."""
_MASS_TOLERANCE = 0.25
"""Of its mass, by which a part may differ from a frame to the next."""
_SEARCH = 6
"""Pixels around the predicted place within which a hidden part is searched."""
_LEAST_MASS = 4
"""Of a part, in pixels of the threshold's level; less is noise."""


class Track(NamedTuple):
    """A part of a clip.

    Attributes:
      present: bool[T].
      centers: f32[T, 2], row and column of its center of mass, in pixels.
      radii: f32[T], its root mean squared distance from the center, in pixels.
      picture: f32[S, S], values of one frame, black around the part.
    """

    present: np.ndarray
    centers: np.ndarray
    radii: np.ndarray
    picture: np.ndarray


class _Blob(NamedTuple):
    """A part in a frame: its pixels f32[H, W], 0 elsewhere, and their moments."""

    pixels: np.ndarray
    mass: float
    center: np.ndarray
    radius: float


def track(clip: np.ndarray, max_parts: int, threshold: float, side: int) -> list[Track]:
    """Finds the parts of a clip.

    A part is a connected component of the pixels from a threshold on, or several that are
    two pixels apart or less. There are as many as in the frame that has most. Of such
    frames, pictures are taken from the one where parts are farthest apart, of one part
    from the one where it is brightest, or else from the first. From there on, backward and
    forward, each frame's components are assigned to the nearest predicted centers. Where
    their number or masses do not fit, parts touch or overlap: then each is where its
    picture fits into the frame best by whole pixels, and keeps its scale.

    Args:
      clip: f32[T, H, W], 0 is black.
      max_parts: components beyond this number are merged, the smallest into the nearest.
      threshold: level from which a pixel belongs to a part.
      side: height and width of pictures.

    Returns:
      Tracks from left to right in the first frame.
    """
    blobs = [_components(frame, max_parts, threshold) for frame in clip]
    number = max(map(len, blobs))
    if not number:
        return []
    spread = [
        (_gap(parts), sum(part.mass for part in parts))
        if len(parts) == number
        else (-1,)
        for parts in blobs
    ]
    start = max(range(len(clip)), key=spread.__getitem__)
    states: list[list[tuple[bool, np.ndarray, float, float]]] = [[] for _ in clip]
    states[start] = [(True, b.center, b.radius, b.mass) for b in blobs[start]]
    windows = [_window(clip[start], blobs[start], i, side) for i in range(number)]
    for step in (-1, 1):
        frame = start + step
        while 0 <= frame < len(clip):
            before = states[frame - step]
            ahead = frame - 2 * step
            earlier = (
                states[ahead]
                if min(frame, start) <= ahead <= max(frame, start)
                else before
            )
            predicted = [2 * b[1] - e[1] for b, e in zip(before, earlier, strict=True)]
            states[frame] = _follow(
                clip[frame], blobs[frame], before, predicted, windows, threshold
            )
            frame += step
    tracks = [
        Track(
            np.array([states[t][i][0] for t in range(len(clip))]),
            np.array([states[t][i][1] for t in range(len(clip))], np.float32),
            np.array([states[t][i][2] for t in range(len(clip))], np.float32),
            windows[i],
        )
        for i in range(number)
    ]
    return sorted(tracks, key=lambda part: float(part.centers[0, 1]))


def moments(pixels: np.ndarray) -> tuple[float, np.ndarray, float]:
    """Returns the mass, center and root mean squared radius of f32[H, W]."""
    mass = float(pixels.sum(dtype=np.float64))
    rows, columns = (
        pixels.sum(axis=1, dtype=np.float64),
        pixels.sum(axis=0, dtype=np.float64),
    )
    center = np.array(
        [rows @ np.arange(len(rows)), columns @ np.arange(len(columns))]
    ) / max(mass, 1e-3)
    squares = rows @ (np.arange(len(rows)) - center[0]) ** 2
    squares += columns @ (np.arange(len(columns)) - center[1]) ** 2
    return mass, center, float(np.sqrt(squares / max(mass, 1e-3)))


def _components(frame: np.ndarray, most: int, threshold: float) -> list[_Blob]:
    """Returns the components of a frame f32[H, W]."""
    from scipy import ndimage

    mask = frame >= threshold
    labels, number = ndimage.label(
        ndimage.binary_dilation(mask, np.ones((3, 3)), _GAP), np.ones((3, 3))
    )
    labels = np.where(mask, labels, 0)
    blobs = [_blob(frame, labels == label) for label in range(1, number + 1)]
    blobs = [blob for blob in blobs if blob.mass >= _LEAST_MASS * threshold]
    while len(blobs) > most:
        smallest = blobs.pop(int(np.argmin([blob.mass for blob in blobs])))
        distances = [np.linalg.norm(b.center - smallest.center) for b in blobs]
        nearest = int(np.argmin(distances))
        mask = (blobs[nearest].pixels + smallest.pixels) > 0
        blobs[nearest] = _blob(frame, mask)
    return blobs


def _blob(frame: np.ndarray, mask: np.ndarray) -> _Blob:
    pixels = np.where(mask, frame, 0)
    return _Blob(pixels, *moments(pixels))


def _gap(blobs: list[_Blob]) -> float:
    """Returns the least distance in pixels between parts; infinite for one part."""
    from scipy import ndimage

    gaps = [
        float(ndimage.distance_transform_edt(a.pixels == 0)[b.pixels > 0].min())
        for a, b in itertools.combinations(blobs, 2)
    ]
    return min(gaps, default=np.inf)


def _window(frame: np.ndarray, blobs: list[_Blob], index: int, side: int) -> np.ndarray:
    """Returns the picture f32[side, side] of a part: its pixels and those nearest to it."""
    from scipy import ndimage

    distances = [ndimage.distance_transform_edt(b.pixels == 0) for b in blobs]
    own = np.argmin(distances, axis=0) == index
    pixels = np.pad(np.where(own, frame, 0), side)
    center = blobs[index].center
    occupied = np.argwhere(blobs[index].pixels > 0)
    low, high = occupied.min(axis=0), occupied.max(axis=0)
    # In the middle of the part's extent, or of its mass where that is larger.
    middle = np.where(high - low < side, (low + high + 1) / 2, center + 0.5)
    row, column = (np.ceil(middle - side / 2).astype(int) + side).tolist()
    return pixels[row : row + side, column : column + side]


def _follow(
    frame: np.ndarray,
    blobs: list[_Blob],
    before: list[tuple[bool, np.ndarray, float, float]],
    predicted: list[np.ndarray],
    windows: list[np.ndarray],
    threshold: float,
) -> list[tuple[bool, np.ndarray, float, float]]:
    """Returns presence, center, radius and mass of each part in the next frame."""
    if len(blobs) == len(before):
        costs = {
            order: sum(
                float(np.linalg.norm(blobs[j].center - place))
                for j, place in zip(order, predicted, strict=True)
            )
            for order in itertools.permutations(range(len(blobs)))
        }
        order = min(costs, key=costs.__getitem__)
        pairs = [(blobs[j], part) for j, part in zip(order, before, strict=True)]
        if all(
            abs(blob.mass - part[3]) <= _MASS_TOLERANCE * part[3]
            for blob, part in pairs
        ):
            return [(True, blob.center, blob.radius, blob.mass) for blob, _ in pairs]
    return [
        _search(frame, part, place, window, threshold)
        for part, place, window in zip(before, predicted, windows, strict=True)
    ]


def _search(
    frame: np.ndarray,
    part: tuple[bool, np.ndarray, float, float],
    predicted: np.ndarray,
    window: np.ndarray,
    threshold: float,
) -> tuple[bool, np.ndarray, float, float]:
    """Finds where a picture f32[S, S] fits best into a frame, by whole pixels.

    Other parts may be brighter than it there, but nothing dimmer. Of places that fit as
    well, it is the one nearest to the predicted center.
    """
    side = len(window)
    picture = np.where(window >= threshold, window, 0)
    mass, middle, _ = moments(picture)
    padded = np.pad(frame, side)
    corner = np.rint(predicted - middle).astype(int)
    best, place = np.inf, corner
    offsets = np.array(list(np.ndindex(2 * _SEARCH + 1, 2 * _SEARCH + 1))) - _SEARCH
    order = np.argsort(np.abs(offsets).sum(axis=1), kind="stable")
    for offset in offsets[order]:
        row, column = corner + offset + side
        region = padded[row : row + side, column : column + side]
        if min(row, column) < 0 or region.shape != picture.shape:
            continue
        missing = float(np.maximum(picture - region, 0).sum())
        if missing < best - 1e-3:
            best, place = missing, corner + offset
    # It is gone where most of it is missing.
    return best < mass / 2, place + middle, part[2], part[3]
