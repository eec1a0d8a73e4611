"""Sounds of any set with labels; here one as TFDS's `speech_commands`."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from regen_jax.data.readers.labeled_sounds import open_labeled_sounds
from regen_jax.errors import UserError


class Commands(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Sounds at 8 kHz, of one to three words."""

    VERSION = tfds.core.Version("1.0.0")
    name = "commands"

    def __init__(self, data_dir, sounds, features=None, rate=8_000):
        self._sounds, self._rate = sounds, rate
        self._features = features or {
            "audio": tfds.features.Tensor(shape=(None,), dtype=np.int16),
            "label": tfds.features.ClassLabel(names=["yes", "no", "_silence_"]),
        }
        super().__init__(data_dir=str(data_dir), file_format="array_record")

    def _info(self):
        metadata = {"sample_rate": self._rate} if self._rate else {}
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(self._features),
            metadata=tfds.core.MetadataDict(metadata),
        )

    def _split_generators(self, dl_manager):
        names = ("train", "validation", "test")
        return {split: self._generate_examples() for split in names}

    def _generate_examples(self):
        yield from enumerate(self._sounds)


def sound(num_samples, label):
    rng = np.random.default_rng(num_samples)
    return {
        "audio": rng.integers(-99, 99, num_samples).astype(np.int16),
        "label": label,
    }


@pytest.mark.parametrize("max_bytes", [2**31, 0], ids=["memory", "files"])
def test_sounds_are_resampled_and_longer_ones_left_out(tmp_path, max_bytes):
    listed = [sound(4000, 1), sound(8000, 0), sound(8001, 2)]
    Commands(tmp_path, listed).download_and_prepare()
    sounds = open_labeled_sounds(
        "commands", "test", str(tmp_path), 16_000, 1.0, max_bytes=max_bytes
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
    Commands(tmp_path, listed, features).download_and_prepare()
    sounds = open_labeled_sounds("commands", "test", str(tmp_path))
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
        ([sound(9000, 0)], None, 8_000, "no sound of 'commands' .* is within 1 s"),
        ([sound(9, -1)], None, 8_000, "sounds without a label"),
    ],
    ids=["audio", "label", "rate", "long", "secret"],
)
def test_unsuitable_set_raises_user_error(tmp_path, listed, features, rate, message):
    if features:
        listed = [{key: each[key] for key in features} for each in listed]
    Commands(tmp_path, listed, features, rate).download_and_prepare()
    with pytest.raises(UserError, match=message) as caught:
        open_labeled_sounds("commands", "test", str(tmp_path), max_seconds=1.0)
    assert "\n" not in str(caught.value)
