"""Sounds to listen to, and their spectrograms beside one another."""

from collections.abc import Mapping, Sequence

import numpy as np

from regen_jax.media.heatmaps import render_spectrograms
from regen_jax.media.media import Media


def render_sounds(
    name: str,
    waves: Mapping[str, Sequence[np.ndarray]],
    log_mels: Mapping[str, Sequence[np.ndarray]],
    texts: Sequence[str],
    sample_rate: int,
) -> Media:
    """Renders versions of sounds, such as samples and references.

    Args:
      name: of the picture.
      waves: float[T] each, by version; sound i of a version is named `version_i`.
      log_mels: float[T, num_mels] of the first sounds of each version, which are in the
        picture: a row per sound, and a column per version.
      texts: of the sounds.
      sample_rate: Hz.
    """
    media = Media()
    for version, sounds in waves.items():
        for index, wave in enumerate(sounds):
            sound = np.asarray(wave, np.float32), sample_rate
            media.audio[f"{version}_{index}"] = sound
    rows = range(min(map(len, log_mels.values())))
    media.images[name] = render_spectrograms(
        [log_mels[version][row] for row in rows for version in log_mels],
        [f"{version}: {texts[row]}" for row in rows for version in log_mels],
        columns=len(log_mels),
    )
    return media
