"""Preparing data sets, and errors on those that cannot be prepared or read."""

import pytest
import requests
import tensorflow_datasets as tfds

from regen_jax.data.readers.images import open_images
from regen_jax.data.tfds import prepare as prepare_module
from regen_jax.data.tfds import prepared
from regen_jax.data.tfds.prepare import prepare
from regen_jax.errors import UserError


class Failing(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A set of TFDS whose preparation raises an error."""

    VERSION = tfds.core.Version("1.0.0")
    name = "failing"

    def __init__(self, error, **options):
        self._error = error
        super().__init__(**options)

    def _info(self):
        features = tfds.features.FeaturesDict({"label": tfds.features.Text()})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        raise self._error

    def _generate_examples(self):
        raise NotImplementedError


def test_set_prepared_in_another_version_raises_user_error(tmp_path):
    command = f"run `python -m regen_jax.data.prepare digits --data_dir={tmp_path}`"
    versions = ["1.0.0", "3.0.0"]
    for version in versions:
        folder = tmp_path / "digits" / version
        folder.mkdir(parents=True)
        (folder / "features.json").write_text("of another version")
    with pytest.raises(UserError) as caught:
        prepared.require("digits", "train", str(tmp_path))
    assert str(caught.value) == (
        f"data set 'digits' is prepared in version {', '.join(versions)}, not in the "
        f"2.0.0 needed, in {tmp_path}: {command}"
    )
    prepare("digits", str(tmp_path))
    assert prepared.require("digits", "validation", str(tmp_path)).version == "2.0.0"
    for version in versions:
        assert (tmp_path / "digits" / version / "features.json").exists()


def test_version_of_an_embedded_set_is_that_of_its_builder(digits_dir):
    assert prepare("digits:2.0.0", digits_dir).version == "2.0.0"
    for read in (prepare, lambda *args: open_images(args[0], "train", args[1])):
        with pytest.raises(UserError) as caught:
            read("digits:1.0.0", digits_dir)
        assert str(caught.value) == (
            "data set 'digits:1.0.0' is of another version than the 2.0.0 that is read "
            "here: write 'digits' instead"
        )


@pytest.mark.parametrize("content", [None, "", "{", "{}", "[]"])
@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
def test_damaged_description_raises_user_error(tmp_path, name, content):
    folder = tmp_path / "digits" / "2.0.0"
    folder.mkdir(parents=True)
    (folder / "features.json").write_text("{}")
    (folder / name).unlink(missing_ok=True)
    if content is not None or name == "features.json":
        (folder / name).write_text(content or "")
    with pytest.raises(UserError) as caught:
        prepared.find("digits", str(tmp_path))
    assert str(caught.value) == (
        f"data set 'digits' is damaged: delete {folder} and run "
        f"`python -m regen_jax.data.prepare digits --data_dir={tmp_path}`"
    )


@pytest.mark.parametrize(
    "error, message",
    [
        (
            requests.ConnectionError(
                "no route", request=requests.Request("GET", "https://a.org/b").prepare()
            ),
            "preparing 'failing' needs the network: cannot reach a.org",
        ),
        (
            ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow.io"),
            (
                "preparing 'failing' needs the package tensorflow: run `pip install "
                "tensorflow`; reading the prepared set does not need it"
            ),
        ),
        (
            AssertionError("Put the files\n  there."),
            "preparing 'failing' in {} failed: AssertionError: Put the files there.",
        ),
    ],
)
def test_failing_builder_raises_user_error_and_leaves_nothing(
    tmp_path, monkeypatch, error, message
):
    monkeypatch.setattr(
        prepare_module.tfds,
        "builder",
        lambda name, **options: Failing(error, **options),
    )
    folder = tmp_path / "new" / "data"
    with pytest.raises(UserError) as caught:
        prepare("failing", str(folder))
    assert str(caught.value) == message.format(folder)
    assert not list(tmp_path.iterdir())


def test_data_folder_that_is_a_file_raises_user_error(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UserError) as caught:
        prepare("digits", f"{tmp_path}/file")
    assert "\n" not in str(caught.value)
    assert f"{tmp_path}/file failed: NotADirectoryError" in str(caught.value)
    assert (tmp_path / "file").read_text() == "kept"
