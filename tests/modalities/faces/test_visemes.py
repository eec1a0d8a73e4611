import numpy as np

from regen_jax.modalities.faces.animation import animate, frame_times
from regen_jax.modalities.faces.visemes import VISEMES, mouth_tracks, shapes_of

TIMES = np.arange(0, 1.2, 0.01)


def spoken(*names: str, start: float = 0.2, duration: float = 0.1):
    """Phonemes of one duration each, and when the last one ends."""
    starts = start + duration * np.arange(len(names) + 1)
    return list(zip(names, starts.tolist(), strict=False)), starts[-1]


def test_shapes_ignore_stress_and_length_and_follow_diphthongs():
    assert shapes_of("ˈiː") == (VISEMES["i"],)
    assert shapes_of("aɪ") == (VISEMES["a"], VISEMES["ɪ"])
    assert shapes_of("_")[0][:3] == (0, 0, 0)


def test_mouth_is_at_rest_before_and_after_speech():
    tracks = mouth_tracks(*spoken("a", "u"), TIMES)
    at_rest = (TIMES < 0.05) | (TIMES > 0.65)
    assert np.abs(tracks[at_rest]).max() < 0.05


def test_coarticulation_is_smoother_than_targets():
    phonemes, end = spoken("a", "i", "u", "a")
    tracks = mouth_tracks(phonemes, end, TIMES)
    starts = np.array([start for _, start in phonemes])
    index = np.searchsorted(starts, TIMES, side="right") - 1
    jaws = np.array([VISEMES[name].jaw for name, _ in phonemes])
    targets = np.where((index >= 0) & (end > TIMES), jaws[index], 0)
    largest = np.abs(np.diff(tracks[:, 0])).max()
    assert largest < 0.4 * np.abs(np.diff(targets)).max()


def test_lips_round_before_a_rounded_vowel():
    times = np.array([0.35])
    rounded = mouth_tracks(*spoken("t", "s", "u"), times)[0, 2]
    unrounded = mouth_tracks(*spoken("t", "s", "i"), times)[0, 2]
    assert rounded > unrounded + 0.03


def test_lips_close_for_bilabials_between_vowels():
    middle = np.array([0.35])
    jaw = mouth_tracks(*spoken("a", "m", "a"), middle)[0, 0]
    assert jaw < 0.15 < mouth_tracks(*spoken("a", "k", "a"), middle)[0, 0]


def test_animation_starts_neutral_and_is_slow_in_pose():
    random = np.random.RandomState(0)
    tracks = animate(random, *spoken("a", "m", "u"), 100)
    assert tracks.shape == (100, 7) and not tracks[0].any()
    assert np.abs(np.diff(tracks[:, 4:], axis=0)).max() < 0.25
    assert tracks[:, 3].min() >= 0 and tracks[:, 3].max() <= 1


def test_frames_are_centered_in_their_time():
    np.testing.assert_allclose(frame_times(3), [0.02, 0.06, 0.10])


def test_blinks_come_at_random_and_end():
    closed = [
        animate(np.random.RandomState(seed), *spoken("a"), 100)[:, 3]
        for seed in range(20)
    ]
    assert 5 < sum(track.max() > 0.4 for track in closed) <= 20
    assert np.mean(np.array(closed) > 0.1) < 0.2
