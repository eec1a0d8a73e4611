"""Sounds beside one another: which stand in a row, and under which captions."""

import numpy as np
import pytest

from regen_jax.media.heatmaps import render_spectrograms
from regen_jax.media.sounds import render_sounds

RNG = np.random.default_rng(0)


def mels(number: int, frames: int) -> list[np.ndarray]:
    return [RNG.uniform(-11, 1, (frames, 8)) for _ in range(number)]


@pytest.mark.parametrize("frames, columns", [(30, 6), (90, 4), (500, 2)])
def test_short_sounds_share_a_row_with_all_their_versions(frames, columns):
    log_mels = {"samples": mels(3, frames), "references": mels(3, frames)}
    waves = {"samples": [np.zeros(9)] * 4}
    media = render_sounds("sounds", waves, log_mels, ["a", "b", "c", "d"], 8000)
    pairs = zip(*log_mels.values(), strict=True)
    expected = render_spectrograms(
        [log_mel for pair in pairs for log_mel in pair],
        ["a", "reference", "b", "reference", "c", "reference"],
        columns=columns,
    )
    np.testing.assert_array_equal(media.images["sounds"], expected)
    assert set(media.audio) == {f"samples_{index}" for index in range(4)}
