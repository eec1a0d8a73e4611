"""Faces and tracks at random, as frames."""

import numpy as np

from regen_jax.modalities.faces.face import TRACK_LOW, TRACKS, Identity, draw_identity


def identities(number: int, seed: int = 0) -> Identity:
    random = np.random.RandomState(seed)
    drawn = [draw_identity(random) for _ in range(number)]
    return Identity(*(np.stack(parts) for parts in zip(*drawn, strict=True)))


def random_tracks(number: int, frames: int, seed: int = 0) -> np.ndarray:
    """Tracks f32[number, frames, 7] over their ranges; the first frame is neutral."""
    random = np.random.RandomState(seed)
    unit = random.uniform(size=(number, frames, len(TRACKS)))
    tracks = (TRACK_LOW + (1 - TRACK_LOW) * unit).astype(np.float32)
    tracks[:, 0] = 0
    return tracks
