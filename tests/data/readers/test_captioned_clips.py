import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from regen_jax.data.readers.captioned_clips import open_captioned_clips
from regen_jax.errors import UserError
from tests.data.readers.user_set import UserSet

FRAME = tfds.features.Image(shape=(None, None, 3), encoding_format="png")
VIDEO = tfds.features.Sequence(FRAME)
LABEL = tfds.features.ClassLabel(names=["apply_lipstick", "biking"])
FEATURES = {"video": VIDEO, "label": LABEL}


class LabeledClips(UserSet, skip_registration=True):
    """A few clips of one color per frame, with the features of TFDS's `ucf101`."""

    def __init__(self, data_dir, features=FEATURES):
        super().__init__(data_dir, "labeled_clips", features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(4), "test": self._generate_examples(1)}

    def _generate_examples(self, number):
        for index in range(number):
            frames = [
                Image.new("RGB", (40, 24), (10 * t, index, 200))
                for t in range(3 + index)
            ]
            example = {"video": frames, "label": index % 2, "caption": f"clip {index}"}
            yield index, {key: example[key] for key in self._features}


@pytest.mark.parametrize("max_bytes", [2**30, 0], ids=["memory", "files"])
def test_labels_are_captions_and_short_clips_are_left_out(tmp_path, max_bytes):
    LabeledClips(str(tmp_path)).download_and_prepare()
    source = open_captioned_clips(
        "labeled_clips", "train", 4, 16, str(tmp_path), max_bytes
    )
    assert len(source) == len(source.clips) == 3 < 4
    assert (source.channels, source.rate) == (3, 0.0)
    assert sorted(source.captions) == ["apply lipstick", "biking", "biking"]
    for caption, clip in zip(source.captions, source.clips, strict=True):
        assert clip.shape == (4, 16, 16, 3) and clip.dtype == np.uint8
        number = int(clip[0, 0, 0, 1])
        assert caption == ["apply lipstick", "biking"][number % 2]
        expected = np.stack([10 * np.arange(4), [number] * 4, [200] * 4], axis=1)
        np.testing.assert_array_equal(
            clip, np.broadcast_to(expected[:, None, None], clip.shape)
        )


def test_clips_that_are_all_too_short_raise_user_error(tmp_path):
    LabeledClips(str(tmp_path)).download_and_prepare()
    with pytest.raises(UserError) as caught:
        open_captioned_clips("labeled_clips", "train", 17, 16, str(tmp_path))
    assert str(caught.value) == (
        "data set 'labeled_clips' has no clip of 17 frames or more in the split 'train': "
        "lower config.data.num_frames to 6"
    )


def test_feature_video_of_tfds_is_read_without_tensorflow(tmp_path):
    """As `ucf101` stores it; only TensorFlow can make that feature."""
    LabeledClips(str(tmp_path)).download_and_prepare()
    (file,) = tmp_path.glob("labeled_clips/*/features.json")
    features = json.loads(file.read_text())
    video = {
        "shape": {"dimensions": ["-1", "-1", "-1", "3"]},
        "dtype": "uint8",
        "encodingFormat": "png",
    }
    features["featuresDict"]["features"]["video"] = {
        "pythonClassName": "tensorflow_datasets.core.features.video_feature.Video",
        "video": video,
    }
    file.write_text(json.dumps(features))
    source = open_captioned_clips("labeled_clips", "train", 4, 16, str(tmp_path))
    assert len(source) == 3 and source.clips[0].shape == (4, 16, 16, 3)


def test_captions_and_rate_are_those_of_the_set(moving_digits_dir):
    source = open_captioned_clips("moving_digits", "test", 8, 32, moving_digits_dir)
    assert (source.channels, source.rate) == (1, 8.0)
    assert source.clips[0].shape == (8, 32, 32, 1)
    assert all(caption.startswith("a ") for caption in source.captions)


@pytest.mark.parametrize(
    "features, words",
    [
        ({"video": VIDEO}, "has the features video: needed are 'video'"),
        ({"label": LABEL}, "has the features label: needed are 'video'"),
        ({"video": tfds.features.Text(), "label": LABEL}, "needed are 'video' .Video"),
        (
            {
                "video": tfds.features.Sequence(
                    tfds.features.Image(shape=(None, None, 4), encoding_format="png")
                ),
                "caption": tfds.features.Text(),
            },
            "needed are uint8 frames of 1 or 3 channels",
        ),
    ],
)
def test_unsuitable_features_raise_user_error(tmp_path, features, words, monkeypatch):
    def generate(self, number):
        values = {"video": [], "label": 0, "caption": "a"}
        if isinstance(features.get("video"), tfds.features.Text):
            values["video"] = "none"
        yield 0, {key: values[key] for key in features}

    monkeypatch.setattr(LabeledClips, "_generate_examples", generate)
    LabeledClips(str(tmp_path), features).download_and_prepare()
    with pytest.raises(UserError, match=words):
        open_captioned_clips("labeled_clips", "train", 4, 16, str(tmp_path))


def test_set_that_is_not_prepared_raises_user_error(tmp_path):
    with pytest.raises(UserError, match="regen_jax.data.prepare moving_digits"):
        open_captioned_clips("moving_digits", "train", 16, 32, str(tmp_path))
