"""Clips of faces: videos, frames, and curves of what moves."""

from collections.abc import Mapping

import numpy as np

from regen_jax.media.curves import render_curves
from regen_jax.media.image_grid import image_grid
from regen_jax.media.media import Media
from regen_jax.media.video import Video, film_strip, video_grid
from regen_jax.modalities.faces.face import TRACK_LOW, TRACKS
from regen_jax.spaces import Padded

_STRIP, _SCALE, _COLUMNS = 10, 3, 2
_PANEL = {"width": 400, "height": 40}


def render_clips(
    name: str,
    versions: Mapping[str, Padded],
    tracks: Mapping[str, np.ndarray],
    rate: float,
) -> Media:
    """Renders versions of clips, such as generated and real ones.

    Args:
      name: that of a video is `name_i`, those of the pictures `name_frames` and
        `name_mouth`.
      versions: clips u8[N, T, H, W, 3], of which the first version gives the lengths.
      tracks: f32[M, T, 7] of each version's first M clips, which the pictures show, in
        the order of `TRACKS`. A panel shows the range of a track.
      rate: frames per second.
    """
    media, strips, curves = Media(), [], []
    labels = list(versions)
    lengths = next(iter(versions.values())).length
    num_shown = min(map(len, tracks.values()))
    frames_of_strip = min(_STRIP, int(np.min(lengths[:num_shown])))
    for index, length in enumerate(lengths):
        clips = np.stack([clips.values[index, :length] for clips in versions.values()])
        frames = video_grid(clips, len(clips), captions=labels, scale=_SCALE)
        media.videos[f"{name}_{index}"] = Video(frames, rate)
        if index >= num_shown:
            continue
        strips.append(film_strip(clips, frames_of_strip, labels=labels))
        unit = {
            version: (values[index, :length] - TRACK_LOW) / (1 - TRACK_LOW)
            for version, values in tracks.items()
        }
        panels = [
            {version: values[:, column] for version, values in unit.items()}
            for column in range(len(TRACKS))
        ]
        names = [track.replace("_", " ") for track in TRACKS]
        curves.append(render_curves(panels, names, **_PANEL))
    media.images[f"{name}_frames"] = np.concatenate(strips)
    media.images[f"{name}_mouth"] = image_grid(
        np.stack(curves),
        min(_COLUMNS, len(curves)),
        captions=[f"clip {index}" for index in range(len(curves))],
        scale=1,
    )
    return media
