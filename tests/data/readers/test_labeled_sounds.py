"""Sounds of any set with labels; here one as TFDS's `speech_commands`."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from regen_jax.data.readers.labeled_sounds import open_labeled_sounds
from regen_jax.errors import UserError
from tests.data.readers.talks import Talks

COMMANDS = {
    "audio": tfds.features.Tensor(shape=(None,), dtype=np.int16),
    "label": tfds.features.ClassLabel(names=["yes", "no", "_silence_"]),
}


def sound(num_samples, label):
    rng = np.random.default_rng(num_samples)
    return {
        "audio": rng.integers(-99, 99, num_samples).astype(np.int16),
        "label": label,
    }


@pytest.mark.parametrize("max_bytes", [2**31, 0], ids=["memory", "files"])
def test_sounds_are_resampled_and_longer_ones_left_out(tmp_path, max_bytes):
    listed = [sound(4000, 1), sound(8000, 0), sound(8001, 2)]
    Talks(tmp_path, listed, COMMANDS, 8_000).download_and_prepare()
    sounds = open_labeled_sounds(
        "talks", "test", str(tmp_path), 16_000, 1.0, max_bytes=max_bytes
    )
    assert sounds.names == {"label": ("yes", "no", "_silence_")}
    assert sorted(sounds.labels[:, 0].tolist()) == [0, 1]
    assert sounds.too_long.tolist() == [[2]] and sounds.credit == ""
    lengths = {int(sounds.labels[i, 0]): len(sounds.waves[i]) for i in range(2)}
    assert lengths == {1: 8000, 0: 16000} and sounds.waves[0].dtype == np.int16


def test_other_features_with_classes_follow_the_label(tmp_path):
    features = {
        "audio": tfds.features.Tensor(shape=(None,), dtype=np.int16),
        "accent": tfds.features.ClassLabel(names=["flat", "sharp"]),
        "label": tfds.features.ClassLabel(names=["yes", "no"]),
        "speaker": tfds.features.Text(),
    }
    listed = [sound(40, 1) | {"accent": 0, "speaker": "A"}]
    Talks(tmp_path, listed, features, 8_000).download_and_prepare()
    sounds = open_labeled_sounds("talks", "test", str(tmp_path))
    assert list(sounds.names) == ["label", "accent"]
    assert sounds.labels.tolist() == [[1, 0]]


@pytest.mark.parametrize(
    "listed, features, rate, message",
    [
        (
            [sound(9, 0)],
            {"label": tfds.features.ClassLabel(num_classes=2)},
            8_000,
            "audio",
        ),
        (
            [sound(9, 0)],
            {"audio": tfds.features.Tensor(shape=(None,), dtype=np.int16)},
            8_000,
            r"needed are 'audio' and 'label' \(ClassLabel\)",
        ),
        ([sound(9, 0)], None, 0, "does not say its sample rate"),
        ([sound(9000, 0)], None, 8_000, "no sound of 'talks' .* is within 1 s"),
        ([sound(9, -1)], None, 8_000, "sounds without a label"),
    ],
    ids=["audio", "label", "rate", "long", "secret"],
)
def test_unsuitable_set_raises_user_error(tmp_path, listed, features, rate, message):
    if features:
        listed = [{key: each[key] for key in features} for each in listed]
    Talks(tmp_path, listed, features or COMMANDS, rate).download_and_prepare()
    with pytest.raises(UserError, match=message) as caught:
        open_labeled_sounds("talks", "test", str(tmp_path), max_seconds=1.0)
    assert "\n" not in str(caught.value)
