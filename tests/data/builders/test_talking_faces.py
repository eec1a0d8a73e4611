import io
import itertools

import numpy as np
import pytest
from PIL import Image

from regen_jax.data.builders.talking_faces.clips import (
    MAX_FRAMES,
    draw_clip,
    make_clips,
)
from regen_jax.modalities.faces.face import Identity
from tests.data.stored import SPLITS, stored_splits


@pytest.fixture(scope="module")
def splits(faces_dir):
    """12 clips of train, 4 of validation and 4 of test."""
    return stored_splits("talking_faces", faces_dir)


@pytest.fixture(scope="module")
def clips(splits):
    return [clip for split in splits.values() for clip in split]


def texts(split):
    return [clip["text"].decode() for clip in split]


def test_no_text_of_a_split_stands_in_one_of_another(splits):
    assert [len(split) for split in splits.values()] == [12, 4, 4]
    for one, other in itertools.permutations(SPLITS, 2):
        joined = "|".join(f" {text} " for text in texts(splits[other]))
        assert not any(f" {text} " in joined for text in texts(splits[one]))


def test_no_face_is_in_two_clips(clips):
    assert len({clip["geometry"].tobytes() for clip in clips}) == len(clips)
    assert len({clip["colors"].tobytes() for clip in clips}) == len(clips)


def test_sound_and_tracks_last_as_long_as_frames(clips):
    for clip in clips:
        frames = len(clip["tracks"])
        assert len(clip["audio"]) == 640 * frames
        assert clip["frames"].shape == (48 * frames, 48, 3)
        assert 12 <= frames <= MAX_FRAMES


def test_frames_are_drawn_from_the_stored_parameters(clips):
    clip = clips[0]
    identity = Identity(clip["geometry"], clip["colors"])
    drawn = draw_clip(identity, clip["tracks"])
    stored = clip["frames"].reshape(drawn.shape).astype(int)
    assert np.abs(drawn - stored).max() <= 1


def test_clips_begin_with_a_neutral_face_and_silence(clips):
    for clip in clips:
        assert not clip["tracks"][0].any() and not clip["audio"][:3200].any()


def test_clips_depend_on_seed_and_number_alone():
    one, again = (next(make_clips(["and he said to them"], 5)) for _ in range(2))
    np.testing.assert_array_equal(one["colors"], again["colors"])
    np.testing.assert_array_equal(one["tracks"][:, 3:], again["tracks"][:, 3:])
    png = io.BytesIO()
    one["frames"].save(png, "PNG")
    assert Image.open(png).size[0] == 48


def test_longer_texts_are_left_out():
    text = " ".join(["and the people of the town"] * 6)
    assert not list(make_clips([text], 0))
