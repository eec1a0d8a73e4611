import io

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from regen_jax.data.readers.captioned_images import (
    open_captioned_images,
    resize_and_crop,
)
from regen_jax.errors import UserError
from tests.data.readers.user_set import UserSet

CAPTIONS = tfds.features.Sequence({"text": np.str_, "id": np.int64})
IMAGE = tfds.features.Image(shape=(None, None, 3), encoding_format="png")
FEATURES = {"image": IMAGE, "captions": CAPTIONS}


class CocoCaptions(UserSet, skip_registration=True):
    """A few random pictures with the features and splits of TFDS's `coco_captions`."""

    def __init__(self, data_dir, features=FEATURES):
        super().__init__(data_dir, "coco_captions", features)

    def _split_generators(self, dl_manager):
        sizes = {"train": 3, "restval": 2, "val": 2, "test": 1}
        return {name: self._generate_examples(name, n) for name, n in sizes.items()}

    def _generate_examples(self, split, size):
        for number in range(size):
            texts = [f"A picture of {split} {number}.", "Another text"]
            example = {
                "image": Image.new("RGB", (40 + number, 24), (number, 9, 200)),
                "captions": [{"text": t, "id": i} for i, t in enumerate(texts)],
            }
            yield number, {k: example.get(k, 0) for k in self._features}


def pictures(source):
    return [source.picture(i) for i in range(len(source))]


@pytest.mark.parametrize("max_bytes", [2**30, 0], ids=["memory", "files"])
def test_every_caption_of_a_coco_picture_is_a_pair(tmp_path, max_bytes):
    CocoCaptions(str(tmp_path)).download_and_prepare()
    source = open_captioned_images(
        "coco_captions", "train", 16, str(tmp_path), max_bytes
    )
    # `restval` is part of `train`, and `val` is `validation`.
    assert len(source) == 10
    expected = [f"A picture of {s} {i}." for s, n in (("restval", 2), ("train", 3))
                for i in range(n)]  # fmt: skip
    assert sorted(source.captions[::2]) == expected
    assert set(source.captions[1::2]) == {"Another text"}
    for caption, picture in zip(
        source.captions[::2], pictures(source)[::2], strict=True
    ):
        assert picture.shape == (16, 16, 3) and picture.dtype == np.uint8
        assert (picture == (int(caption[-2]), 9, 200)).all()
    validation = open_captioned_images("coco_captions", "validation", 16, str(tmp_path))
    assert len(validation) == 4


def test_openmoji_is_halved_to_a_mean_of_four_pixels(emoji_dir):
    large, small = (
        open_captioned_images("openmoji", "validation", size, emoji_dir)
        for size in (64, 32)
    )
    assert large.captions == small.captions and len(large.captions) >= 2
    for whole, half in zip(pictures(large), pictures(small), strict=True):
        mean = whole.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
        # One axis after the other, each rounded.
        np.testing.assert_allclose(half, mean, atol=1)


@pytest.mark.parametrize("width, height", [(200, 90), (33, 64), (20, 20), (7, 9)])
def test_center_of_a_picture_is_kept_at_any_size(width, height):
    x = np.linspace(0, 240, width)
    ramp = np.broadcast_to(x[None, :, None], (height, width, 3)).astype(np.uint8)
    square = resize_and_crop(Image.fromarray(ramp), 16)
    assert square.shape == (16, 16, 3)
    middle = square.astype(float).mean()
    assert middle == pytest.approx(120, abs=6)
    assert (np.diff(square[8, :, 0].astype(int)) >= 0).all()


@pytest.mark.parametrize(
    "features, words",
    [
        ({"image": IMAGE}, "has the features image: needed are 'image'"),
        ({"image": IMAGE, "captions": tfds.features.Text()}, "Sequence of 'text'"),
        (
            {"image": tfds.features.Image(shape=(None, None, 1)), "captions": CAPTIONS},
            "needed are uint8 images of 3 channels",
        ),
    ],
)
def test_unsuitable_features_raise_user_error(tmp_path, features, words, monkeypatch):
    gray = io.BytesIO()
    Image.new("L", (4, 4)).save(gray, format="PNG")
    examples = {"image": gray.getvalue(), "captions": "text"}
    if features.get("captions") is CAPTIONS:
        examples["captions"] = []

    def generate(self, split, size):
        yield 0, {key: examples[key] for key in features}

    monkeypatch.setattr(CocoCaptions, "_generate_examples", generate)
    CocoCaptions(str(tmp_path), features).download_and_prepare()
    with pytest.raises(UserError, match=words):
        open_captioned_images("coco_captions", "train", 16, str(tmp_path))


def test_set_that_is_not_prepared_raises_user_error(tmp_path):
    with pytest.raises(UserError, match="regen_jax.data.prepare openmoji"):
        open_captioned_images("openmoji", "train", 32, str(tmp_path))
