import io
import json
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from regen_jax.data.readers.images import open_images
from regen_jax.data.tfds import splits
from regen_jax.data.tfds.prepare import prepare
from regen_jax.errors import UserError
from tests.data.readers.user_set import UserSet

LABEL = tfds.features.ClassLabel(names=["cat", "dog", "eel"])


class Pictures(UserSet, skip_registration=True):
    """A set whose splits all have the same examples."""

    def __init__(
        self,
        data_dir,
        examples,
        features,
        name="pictures",
        version="1.0.0",
        splits=splits.NAMES,
    ):
        self._examples, self._splits = examples, splits
        self.VERSION = tfds.core.Version(version)
        super().__init__(data_dir, name, features)

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples() for split in self._splits}

    def _generate_examples(self):
        yield from enumerate(self._examples)


def prepare_pictures(data_dir, shape=(32, 32, 3), count=7, **options):
    """Prepares random images whose first pixel is their number; returns them."""
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(count, *shape), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(count)
    examples = [
        {"image": Image.fromarray(image.squeeze()), "label": i % 3, "note": "any"}
        for i, image in enumerate(images)
    ]
    features = {
        "image": tfds.features.Image(shape=shape, encoding_format="png"),
        "label": LABEL,
        "note": tfds.features.Text(),
    }
    Pictures(str(data_dir), examples, features, **options).download_and_prepare()
    return images


@pytest.mark.parametrize("max_bytes", [2**30, 0], ids=["memory", "files"])
@pytest.mark.parametrize("shape", [(32, 32, 3), (5, 9, 1), (4, 4, 4)], ids=str)
def test_labeled_images_are_read_from_memory_and_files(tmp_path, shape, max_bytes):
    images = prepare_pictures(tmp_path, shape)
    source = open_images("pictures", "train", str(tmp_path), max_bytes)
    assert source.shape == shape
    assert source.label_names == ("cat", "dog", "eel") and source.num_classes == 3
    assert len(source) == len(images)
    numbers = []
    for i in range(len(source)):
        example = source[i]
        number = int(example["y"][0, 0, 0])
        np.testing.assert_array_equal(example["y"], images[number])
        assert example["y"].dtype == np.uint8
        assert example["x"] == number % 3 and example["x"].dtype == np.int32
        numbers.append(number)
    assert sorted(numbers) == list(range(len(images)))


def test_slice_of_a_split_is_read(tmp_path):
    prepare_pictures(tmp_path)
    assert len(open_images("pictures", "train[:3]", str(tmp_path))) == 3


def test_images_are_converted_to_the_channels_of_the_feature(tmp_path):
    gray = io.BytesIO()
    Image.fromarray(np.full((4, 4), 9, np.uint8)).save(gray, format="PNG")
    features = {"image": tfds.features.Image(shape=(4, 4, 3)), "label": LABEL}
    examples = [{"image": gray.getvalue(), "label": 1}]
    Pictures(str(tmp_path), examples, features).download_and_prepare()
    image = open_images("pictures", "train", str(tmp_path))[0]["y"]
    np.testing.assert_array_equal(image, np.full((4, 4, 3), 9))


def test_newest_version_is_read_unless_one_is_named(tmp_path):
    for count, version in [(2, "1.9.0"), (3, "1.10.0")]:
        prepare_pictures(tmp_path, count=count, version=version)
    assert len(open_images("pictures", "train", str(tmp_path))) == 3
    assert len(open_images("pictures:1.9.0", "train", str(tmp_path))) == 2


def test_config_is_needed_only_where_there_are_several(tmp_path):
    prepare_pictures(tmp_path / "pictures", count=2, name="small")
    assert len(open_images("pictures", "train", str(tmp_path))) == 2
    prepare_pictures(tmp_path / "pictures", count=3, name="large")
    assert len(open_images("pictures/large", "train", str(tmp_path))) == 3
    with pytest.raises(UserError, match="choose pictures/large, pictures/small"):
        open_images("pictures", "train", str(tmp_path))


def test_default_folder_is_that_of_tfds(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    prepare_pictures(tmp_path)
    assert len(open_images("pictures", "train")) == 7
    with pytest.raises(UserError) as caught:
        open_images("mnist", "train")
    assert str(caught.value) == (
        f"data set 'mnist' is not prepared in {tmp_path}: run "
        "`python -m regen_jax.data.prepare mnist`"
    )


def test_missing_set_says_how_to_prepare_it_and_asks_no_network(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.getaddrinfo", fail)
    folder = tmp_path / "my data"
    with pytest.raises(UserError) as caught:
        open_images("cifar10", "train", str(folder))
    assert str(caught.value) == (
        f"data set 'cifar10' is not prepared in {folder}: run "
        f"`python -m regen_jax.data.prepare cifar10 --data_dir='{folder}'`"
    )


def test_unknown_split_raises_user_error_with_the_known(tmp_path):
    prepare_pictures(tmp_path)
    with pytest.raises(
        UserError, match="no split 'tests': choose train, validation, test"
    ):
        open_images("pictures", "tests", str(tmp_path))


@pytest.mark.parametrize(
    "features, message",
    [
        ({"image": tfds.features.Image(shape=(4, 4, 3))}, "has the features image: "),
        ({"label": LABEL}, "has the features label: "),
        (
            {"image": tfds.features.Image(shape=(4, 4, 3)), "label": np.int64},
            "'label' .ClassLabel",
        ),
        (
            {"image": tfds.features.Image(shape=(None, None, 3)), "label": LABEL},
            r"shape \(None, None, 3\) and dtype uint8: .* fixed shape",
        ),
        (
            {"image": tfds.features.Image(shape=(4, 4, 3), dtype=np.uint16)}
            | {"label": LABEL},
            "dtype uint16",
        ),
    ],
)
def test_unsuitable_features_raise_user_error(tmp_path, features, message):
    image = io.BytesIO()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(image, format="PNG")
    whole = {"image": image.getvalue(), "label": 0}
    example = {key: whole[key] for key in features}
    Pictures(str(tmp_path), [example], features).download_and_prepare()
    with pytest.raises(UserError, match=message):
        open_images("pictures", "train", str(tmp_path))


def test_tfrecord_files_raise_user_error_on_reading_and_preparing(tmp_path):
    prepare_pictures(tmp_path)
    path = tmp_path / "pictures" / "1.0.0" / "dataset_info.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps(info | {"fileFormat": "tfrecord"}))
    with pytest.raises(UserError, match="holds tfrecord files, not array_record: move"):
        open_images("pictures", "train", str(tmp_path))
    with pytest.raises(UserError, match="holds tfrecord files"):
        prepare("pictures", str(tmp_path))


def test_damaged_set_raises_user_error(tmp_path):
    prepare_pictures(tmp_path)
    folder = tmp_path / "pictures" / "1.0.0"
    for file in folder.glob("*.array_record*"):
        file.unlink()
    with pytest.raises(UserError, match=f"is damaged: delete {folder} and run"):
        open_images("pictures", "train", str(tmp_path))
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["../pictures", "a b", "", "/etc", "mnist:3"])
def test_malformed_name_raises_user_error(tmp_path, name):
    with pytest.raises(UserError, match="cannot name a data set"):
        open_images(name, "train", str(tmp_path))
