"""Data sets are found by their folders, or by the class that builds them."""

import hashlib
import re
import shlex
from pathlib import Path

import pytest

from regen_jax.data import builders
from regen_jax.data.builders import music21_corpus
from regen_jax.data.builders.digits.builder import digits_file
from regen_jax.data.builders.folk_tunes.tunes import BOOKS
from regen_jax.data.builders.simple_bible.bibles import bible_file
from regen_jax.data.builders.spoken_digits.builder import recordings_file
from regen_jax.data.readers import raw_records
from regen_jax.data.tfds import embedded, prepared
from regen_jax.data.tfds.prepare import prepare
from regen_jax.errors import UserError

BUILDER = '''
import numpy as np
import tensorflow_datasets as tfds


class {name}(tfds.core.GeneratorBasedBuilder):
    """Numbers from 0 on."""

    VERSION = tfds.core.Version("1.2.0")
    RELEASE_NOTES = {{"1.2.0": "First."}}

    def _info(self):
        features = tfds.features.FeaturesDict({{"number": np.int64}})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        sizes = {sizes}
        return {{name: self._generate_examples(n) for name, n in sizes.items()}}

    def _generate_examples(self, size):
        for number in range(size):
            yield number, {{"number": number}}
'''


def numbers(name, split, data_dir):
    return sorted(int(e["number"]) for e in raw_records.load(name, split, data_dir))


@pytest.fixture(scope="module")
def user_builder(tmp_path_factory):
    """Returns the name of a builder in a module of a user's own."""
    folder = tmp_path_factory.mktemp("user")
    # Imported once: TFDS registers a builder by its name, for the whole process.
    (folder / "user_sets.py").write_text(
        BUILDER.format(name="UserNumbers", sizes={"train": 100, "test": 5})
    )
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.syspath_prepend(folder)
        yield "user_sets:UserNumbers"


@pytest.fixture(scope="module")
def added_folder(tmp_path_factory):
    """Returns a folder of builders with the set `added_numbers`."""
    folder = tmp_path_factory.mktemp("builders")
    (folder / "added_numbers").mkdir()
    (folder / "added_numbers" / "__init__.py").write_text('"""The data set."""\n')
    (folder / "added_numbers" / "builder.py").write_text(
        BUILDER.format(
            name="AddedNumbers", sizes={"train": 3, "validation": 2, "test": 2}
        )
    )
    return folder


def test_added_folder_is_a_data_set(added_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(builders, "__path__", [*builders.__path__, str(added_folder)])
    assert "added_numbers" in embedded.names()
    with pytest.raises(UserError, match="is not prepared in"):
        prepared.require("added_numbers", "train", str(tmp_path))
    builder = prepare("added_numbers", str(tmp_path))
    assert builder.data_dir == f"{tmp_path}/added_numbers/1.2.0"
    # Its splits are read as they are stored: nothing is held out of `train`.
    assert numbers("added_numbers", "train", str(tmp_path)) == [0, 1, 2]
    with pytest.raises(UserError, match="write 'added_numbers' instead"):
        prepared.find("added_numbers:1.0.0", str(tmp_path))


def test_builder_of_a_user_is_prepared_and_read_by_its_class(user_builder, tmp_path):
    data_dir = str(tmp_path / "data")
    with pytest.raises(UserError) as caught:
        prepared.require(user_builder, "train", data_dir)
    assert str(caught.value) == (
        f"data set 'user_sets:UserNumbers' is not prepared in {data_dir}: run "
        "`python -m regen_jax.data.prepare user_sets:UserNumbers "
        f"--data_dir={data_dir}`"
    )
    prepare(user_builder, data_dir)
    for name in (user_builder, "user_numbers", "user_numbers:1.2.0"):
        assert numbers(name, "test", data_dir) == [0, 1, 2, 3, 4]
        # As of any set of TFDS, a missing `validation` is held out of `train`.
        validation = numbers(name, "validation", data_dir)
        assert len(validation) == 2
        assert numbers(name, "train", data_dir) == sorted(
            set(range(100)) - set(validation)
        )
    # Of a class only its own version is read.
    version = tmp_path / "data" / "user_numbers" / "1.2.0"
    version.rename(version.with_name("1.1.0"))
    assert len(numbers("user_numbers", "test", data_dir)) == 5
    with pytest.raises(UserError, match="in version 1.1.0, not in the 1.2.0 needed"):
        prepared.require(user_builder, "test", data_dir)


def test_description_without_readme_is_docstring_of_builder(tmp_path, monkeypatch):
    (tmp_path / "plain_sets.py").write_text(
        "import numpy as np\n"
        "from regen_jax.data.builders.embedded_builder import EmbeddedBuilder\n"
        "class PlainNumbers(EmbeddedBuilder):\n"
        "    'Numbers from 0 on.'\n"
        "    RELEASE_NOTES = {'1.0.0': 'First.'}\n"
        "    FEATURES = {'number': np.int64}\n"
        "    def splits(self):\n"
        "        return {'train': [(0, {'number': 0})]}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    builder = prepare("plain_sets:PlainNumbers", str(tmp_path / "data"))
    assert builder.info.description == "Numbers from 0 on."


@pytest.mark.parametrize(
    "name, message",
    [
        ("no_such_module:Builder", "cannot import 'no_such_module'"),
        ("user_sets:Missing", "Missing is not a class that derives from tfds.core."),
        ("pathlib:Path", "Path is not a class that derives from tfds.core."),
    ],
)
def test_unusable_class_raises_user_error(user_builder, tmp_path, name, message):
    with pytest.raises(UserError, match=message) as caught:
        prepare(name, str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", embedded.names())
def test_embedded_set_has_notes_of_its_version(name):
    builder = embedded.builder_class(name)
    assert builder.name == name
    assert str(builder.VERSION) in builder.RELEASE_NOTES


@pytest.mark.parametrize("name", embedded.names())
def test_readme_of_an_embedded_set_describes_it(name):
    readme = Path(*builders.__path__, name, "README.md").read_text()
    builder = embedded.builder_class(name)
    assert readme.startswith(f"# `{name}`\n")
    assert f"version {builder.VERSION} " in readme
    for heading in ("Source", "License", "Splits", "Prepare and read"):
        assert f"\n## {heading}\n" in readme
    if "\nThis set is computed" not in readme:
        assert re.search(r"`[0-9a-f]{64}`", readme), "no SHA-256 of its source"
    for block in re.findall(r"```bash\n(.*?)```", readme, re.DOTALL):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words[:3] == ["python", "-m", "regen_jax.data.prepare"]:
                assert set(words[3:]) <= set(embedded.names())


def test_readmes_hold_the_checksums_of_installed_files():
    files = {
        "digits": [digits_file()],
        "spoken_digits": [recordings_file()],
        "simple_bible": [bible_file("kjv"), bible_file("bbe")],
        "spoken_bible": [bible_file("bbe")],
    }
    for name, paths in files.items():
        readme = Path(*builders.__path__, name, "README.md").read_text()
        for path in paths:
            assert hashlib.sha256(path.read_bytes()).hexdigest() in readme


@pytest.mark.parametrize(
    "name, patterns",
    [
        ("chorales", ["bach/bwv*"]),
        ("folk_tunes", [f"{book}/*.abc" for book in BOOKS]),
    ],
)
def test_readmes_hold_the_checksums_of_files_of_music21(name, patterns):
    readme = Path(*builders.__path__, name, "README.md").read_text()
    folder = music21_corpus.corpus_folder("bach").parent
    paths = sorted(path for pattern in patterns for path in folder.glob(pattern))
    content = b"".join(path.read_bytes() for path in paths)
    assert hashlib.sha256(content).hexdigest() in readme
