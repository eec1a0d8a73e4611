import re

import pytest
import requests
import tensorflow_datasets as tfds

from regen_jax.data import prepare as prepare_module
from regen_jax.data.prepare import main
from regen_jax.data.readers.images import open_images
from regen_jax.data.tfds import embedded, prepared
from regen_jax.errors import UserError


class Failing(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A set of TFDS whose preparation fails with the error it is given."""

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


def run(capsys, *argv):
    code = main(list(argv))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_prepares_once_and_says_what_is_there(tmp_path, capsys):
    argv = ["digits", f"--data_dir={tmp_path}"]
    what = (
        f"4,000 train, 500 validation, 500 test examples in {tmp_path}/digits/2.0.0\n"
    )
    code, out, _ = run(capsys, *argv)
    assert code == 0 and re.fullmatch(r"digits ready in [\d.]+ s: " + what, out)
    assert run(capsys, *argv) == (0, f"digits already there: {what}", "")


@pytest.mark.parametrize("versions", [["1.0.0"], ["1.0.0", "3.0.0"]], ids=str)
def test_other_version_is_refused_and_prepared_anew(tmp_path, capsys, versions):
    command = f"run `python -m regen_jax.data.prepare digits --data_dir={tmp_path}`"
    for version in versions:
        folder = tmp_path / "digits" / version
        folder.mkdir(parents=True)
        (folder / "features.json").write_text("of another time")
    with pytest.raises(UserError) as caught:
        prepared.require("digits", "train", str(tmp_path))
    assert str(caught.value) == (
        f"data set 'digits' is prepared in version {', '.join(versions)}, not in the "
        f"2.0.0 needed, in {tmp_path}: {command}"
    )
    assert run(capsys, "digits", f"--data_dir={tmp_path}")[0] == 0
    assert prepared.require("digits", "validation", str(tmp_path)).version == "2.0.0"
    for version in versions:
        assert (tmp_path / "digits" / version / "features.json").exists()
    assert run(capsys, "digits:2.0.0", f"--data_dir={tmp_path}")[0] == 0
    code, _, err = run(capsys, "digits:1.0.0", f"--data_dir={tmp_path}")
    assert code == 1 and err == (
        "error: data set 'digits:1.0.0' is of another version than the 2.0.0 that is "
        "read here: write 'digits' instead\n"
    )
    with pytest.raises(UserError, match="write 'digits' instead"):
        open_images("digits:1.0.0", "train", str(tmp_path))


@pytest.mark.parametrize("content", [None, "", "{", "{}", "[]"])
@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
def test_damaged_description_is_one_line(tmp_path, name, content):
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


@pytest.mark.parametrize("name", embedded.names())
def test_embedded_sets_say_what_their_version_is(name):
    builder = embedded.builder(name)
    assert str(builder.VERSION) == embedded.version(name)
    assert embedded.version(name) in builder.RELEASE_NOTES
    assert builder.name == name


def test_unknown_name_lists_near_ones(tmp_path, capsys):
    code, out, err = run(capsys, "digit", f"--data_dir={tmp_path}")
    assert code == 1 and out == ""
    assert err.startswith("error: there is no data set 'digit': known are digits")
    assert err.count("\n") == 1


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
def test_failure_is_one_line_and_leaves_nothing(
    tmp_path, capsys, monkeypatch, error, message
):
    monkeypatch.setattr(
        prepare_module.tfds,
        "builder",
        lambda name, **options: Failing(error, **options),
    )
    code, out, err = run(capsys, "failing", f"--data_dir={tmp_path}")
    assert (code, out, err) == (1, "", f"error: {message.format(tmp_path)}\n")
    assert not list(tmp_path.glob("failing/*"))


def test_folder_that_is_a_file_is_told(tmp_path, capsys):
    (tmp_path / "file").write_text("kept")
    code, _, err = run(capsys, "digits", f"--data_dir={tmp_path}/file")
    assert code == 1 and err.count("\n") == 1
    assert f"{tmp_path}/file failed: NotADirectoryError" in err
    assert (tmp_path / "file").read_text() == "kept"
