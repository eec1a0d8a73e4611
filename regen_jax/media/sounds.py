"""Sounds to listen to, and their spectrograms beside one another."""

from collections.abc import Mapping, Sequence

import numpy as np

from regen_jax.media.heatmaps import render_spectrograms
from regen_jax.media.media import Media

_FRAMES = 400
"""Frames that a row of a picture holds, if a sound has fewer."""


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
        picture, the versions of a sound beside one another: the first one has the text
        as its caption, and the others the name of the version in the singular.
      texts: of the sounds.
      sample_rate: Hz.
    """
    media = Media()
    for version, sounds in waves.items():
        for index, wave in enumerate(sounds):
            sound = np.asarray(wave, np.float32), sample_rate
            media.audio[f"{version}_{index}"] = sound
    sounds = list(zip(*log_mels.values(), strict=False))
    _, *others = (version.removesuffix("s") for version in log_mels)
    longest = max(len(log_mel) for versions in sounds for log_mel in versions)
    per_row = max(1, _FRAMES // max(1, longest * len(log_mels)))
    media.images[name] = render_spectrograms(
        [log_mel for versions in sounds for log_mel in versions],
        [caption for text in texts[: len(sounds)] for caption in (text, *others)],
        columns=len(log_mels) * min(per_row, len(sounds)),
    )
    return media
