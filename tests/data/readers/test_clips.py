"""Clips of videos of any prepared set, whose pixels say where they are."""

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from regen_jax.data.readers.clips import Cut, open_clips, resize_frames, video_info
from regen_jax.data.tfds import video_feature
from regen_jax.errors import UserError

LENGTHS = 5, 7, 3
SHAPE = 16, 24


class Videos(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A set of any features, as a user may prepare it."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, data_dir, features, examples, metadata=None, name="videos"):
        self.name, self._features, self._examples = name, features, examples
        self._metadata = metadata
        super().__init__(data_dir=data_dir, file_format="array_record")

    def _info(self):
        metadata = tfds.core.MetadataDict(**self._metadata) if self._metadata else None
        return tfds.core.DatasetInfo(
            builder=self, features=self._features, metadata=metadata
        )

    def _split_generators(self, dl_manager):
        names = ("train", "validation", "test")
        return {name: self._generate_examples() for name in names}

    def _generate_examples(self):
        yield from enumerate(self._examples)


def video(number, length, channels=3):
    """Frames whose first channel is 10 · number + t; columns and rows are in the others."""
    frames = np.zeros((length, *SHAPE, channels), np.uint8)
    frames[..., 0] = 10 * number + np.arange(length)[:, None, None]
    if channels == 3:
        frames[..., 1] = np.arange(SHAPE[0])[:, None]
        frames[..., 2] = np.arange(SHAPE[1])
    return frames


VIDEOS = [video(i, length) for i, length in enumerate(LENGTHS)]


def tensor(channels=3):
    return tfds.features.Tensor(
        shape=(None, None, None, channels), dtype=np.uint8, encoding="bytes"
    )


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("videos"))
    features = {"video": tensor(), "source": tfds.features.Text()}
    examples = [{"video": v, "source": f"file_{i}"} for i, v in enumerate(VIDEOS)]
    features = tfds.features.FeaturesDict(features)
    Videos(folder, features, examples, {"rate": 12.5}).download_and_prepare()
    return folder


def read(folder, **options):
    cut = Cut(num_frames=5, size=16, **options)
    clips = open_clips("videos", "train", cut, folder)
    return clips, [clips[i] for i in range(len(clips))]


def starts(listed):
    return sorted((int(clip[0, 0, 0, 0]), int(clip[0, 0, 0, 2])) for clip in listed)


def test_clips_are_all_windows_in_the_center_and_in_mixed_order(videos):
    clips, listed = read(videos)
    assert all(clip.shape == (5, 16, 16, 3) for clip in listed)
    # The video of three frames has none.
    assert starts(listed) == [(0, 4), (10, 4), (11, 4), (12, 4)]
    for i, clip in enumerate(listed):
        np.testing.assert_array_equal(np.diff(clip[:, 0, 0, 0]), 1)
        assert clips.source(i) == f"file_{clip[0, 0, 0, 0] // 10}"
    again, _ = read(videos)
    np.testing.assert_array_equal(again.index, clips.index)


def test_stride_and_step_are_those_between_clips(videos):
    _, listed = read(videos, stride=2, step=4)
    expected = [(t, left) for t in (0, 10, 12) for left in (0, 4, 8)]
    assert starts(listed) == expected


def test_flips_mirror_and_reverse_each_clip(videos):
    _, plain = read(videos)
    _, listed = read(videos, flips=True)
    versions = [v.tobytes() for clip in plain for v in flipped(clip)]
    assert sorted(versions) == sorted(clip.tobytes() for clip in listed)


def flipped(clip):
    return clip, clip[::-1], clip[:, :, ::-1], clip[::-1, :, ::-1]


def test_zooms_cut_from_resized_videos(videos, caplog):
    cut = Cut(num_frames=5, size=8, zooms=(1, 2, 3))
    clips = open_clips("videos", "train", cut, videos)
    # Three times the size is more than the videos have.
    assert "the zoom 3 of config.data.zooms fits no video" in caplog.text
    assert {v.shape[1:] for v in clips.videos} == {(8, 12, 3), (16, 24, 3)}
    assert len(clips) == 8


def test_sequences_of_pictures_are_read_as_videos(tmp_path):
    """As TFDS's `Video` stores frames, and as sets of steps such as BAIR's have them."""
    image = tfds.features.Image(shape=(*SHAPE, 1), encoding_format="png")
    gray = [video(i, length, 1) for i, length in enumerate(LENGTHS)]
    pictures = [[Image.fromarray(f[..., 0]) for f in frames] for frames in gray]
    features = tfds.features.FeaturesDict(
        {"image_sequence": tfds.features.Sequence(image)}
    )
    examples = [{"image_sequence": frames} for frames in pictures]
    Videos(str(tmp_path), features, examples).download_and_prepare()
    assert video_info("videos", "test", str(tmp_path)) == ("image_sequence", 1, 0)
    clips = open_clips("videos", "test", Cut(5, 16), str(tmp_path))
    assert sorted(int(clips[i][0, 0, 0, 0]) for i in range(4)) == [0, 10, 11, 12]

    steps = tfds.features.Sequence({"main": image, "aux": image, "action": np.float32})
    examples = [
        [{"main": frame, "aux": frame, "action": 0.0} for frame in frames]
        for frames in pictures
    ]
    Videos(str(tmp_path), steps, examples, name="steps").download_and_prepare()
    with pytest.raises(
        UserError, match="has several .* config.data.feature to aux, main"
    ):
        video_info("steps", "train", str(tmp_path))
    clips = open_clips("steps", "train", Cut(5, 16), str(tmp_path), "main")
    assert sorted(int(clips[i][0, 0, 0, 0]) for i in range(len(clips)))[-1] == 12


def test_feature_video_of_tfds_is_read_without_tensorflow():
    image = tfds.features.Image(shape=(None, 8, 1), encoding_format="png")
    description = image.to_json_content()
    value = type("VideoFeature", (), {})()
    value.shape = type("Shape", (), {"dimensions": [20, -1, 8, 1]})()
    value.dtype, value.encoding_format = "uint8", description.encoding_format
    feature = video_feature.Frames.from_json_content(value)
    assert feature.feature.shape == (None, 8, 1)
    assert feature._length == 20


def test_rate_and_channels_are_those_of_the_set(videos):
    assert video_info("videos", "train", videos) == ("video", 3, 12.5)


@pytest.mark.parametrize(
    "cut, options, words",
    [
        (Cut(8, 16), {}, "no video of 8 frames or more"),
        (Cut(5, 17), {}, "frames of 16 x 24 pixels, which are not enlarged"),
        (
            Cut(5, 16),
            {"max_bytes": 10_000},
            "more than .* GiB of memory .* "
            r"""--config.data.splits="\{'train': 'train\[:10%\]'\}"$""",
        ),
        (
            Cut(5, 16),
            {"feature": "nope"},
            "'videos' has no feature 'nope' with uint8 frames of 1 or 3 channels: set "
            "config.data.feature to video$",
        ),
        (
            Cut(5, 8, zooms=(5,)),
            {},
            "the zoom 5 of config.data.zooms fits no video of the split 'train'; the "
            "largest that fits clips of 8 pixels is 2$",
        ),
    ],
)
def test_unsuitable_options_raise_user_error(videos, cut, options, words):
    with pytest.raises(UserError, match=words) as caught:
        open_clips("videos", "train", cut, videos, **options)
    assert "\n" not in str(caught.value)


def test_set_without_frames_raises_user_error(tmp_path):
    features = tfds.features.FeaturesDict({"text": tfds.features.Text()})
    Videos(str(tmp_path), features, [{"text": "a"}] * 3).download_and_prepare()
    with pytest.raises(UserError, match="has no video; its features are text$"):
        video_info("videos", "train", str(tmp_path))


@pytest.mark.parametrize("channels", [1, 3])
def test_resized_frames_keep_their_mean(channels):
    frames = np.random.default_rng(0).integers(256, size=(2, 16, 24, channels))
    resized = resize_frames(frames.astype(np.uint8), 8)
    assert resized.shape == (2, 8, 12, channels)
    assert resized.mean() == pytest.approx(frames.mean(), abs=1)
