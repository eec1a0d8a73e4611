"""Fixtures of prepared data sets, all in one folder that workers share."""

import contextlib
import fcntl
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@contextlib.contextmanager
def shared_folder(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A folder that all workers share, for one of them at a time."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / name
    folder.mkdir(exist_ok=True)
    with open(shared / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _prepared(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    replaced: dict[tuple[Any, str], Any],
) -> str:
    """Prepares a set in the shared folder, with attributes of its builder replaced."""
    from regen_jax.data.tfds.prepare import prepare

    with (
        shared_folder(tmp_path_factory, "data") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        for (owner, attribute), value in replaced.items():
            patch.setattr(owner, attribute, value)
        prepare(name, str(folder))
    return str(folder)


@pytest.fixture(scope="session")
def all_digits_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data folder that holds all digits: to read them takes a second."""
    from regen_jax.data.tfds.prepare import prepare

    with shared_folder(tmp_path_factory, "all_digits") as folder:
        prepare("digits", str(folder))
    return str(folder)


@pytest.fixture(scope="session")
def digits_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data folder that holds a digit in ten, as many of each class."""
    from regen_jax.data.builders import stratified

    split = stratified.stratified_split

    def few(*arguments: Any) -> dict[str, np.ndarray]:
        return {name: rows[::10] for name, rows in split(*arguments).items()}

    return _prepared(
        tmp_path_factory, "digits", {(stratified, "stratified_split"): few}
    )


@pytest.fixture(scope="session")
def speech_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same folder with the speech sets too: few of those that are made here."""
    from regen_jax.data.builders.pronunciations import builder as pronunciations
    from regen_jax.data.builders.spoken_bible import builder as spoken_bible
    from regen_jax.data.tfds.prepare import prepare
    from regen_jax.modalities.text import pronunciation

    with (
        shared_folder(tmp_path_factory, "data") as folder,
        pytest.MonkeyPatch.context() as m,
    ):
        m.setattr(spoken_bible, "TRAIN_SIZE", 120)
        m.setattr(spoken_bible, "HELD_OUT_SIZE", 40)
        listed = pronunciation.pronunciations().items()
        few = dict(itertools.islice(listed, 0, None, 500))
        m.setattr(pronunciations, "pronunciations", lambda: few)
        m.setattr(pronunciations, "VALIDATION_FRACTION", 0.1)
        for name in ("spoken_bible", "spoken_digits", "pronunciations"):
            prepare(name, str(folder))
    return str(folder)


CHORALES = (
    *("166.6", "197.10", "245.22", "255", "265", "269", "273", "286", "347"),
    *("377", "384", "396", "424", "438", "65.2", "66.6", "67.7", "84.5"),
)
"""Short ones: 84.5, 166.6 and 197.10 are one tune, and so are 245.22 and 377.

In this order, no held-out text has a character that those for training lack.
"""


@pytest.fixture(scope="session")
def music_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same folder with 18 chorales, 10 of them for training, and folk tunes."""
    from regen_jax.data.builders import music21_corpus
    from regen_jax.data.builders.chorales import builder as chorales
    from regen_jax.data.builders.chorales import tunes as chorale_tunes
    from regen_jax.data.builders.folk_tunes import tunes as folk_tunes
    from regen_jax.data.tfds.prepare import prepare

    def chorale_files() -> list[Path]:
        folder = music21_corpus.corpus_folder("bach")
        return [folder / f"bwv{number}.mxl" for number in CHORALES]

    with (
        shared_folder(tmp_path_factory, "data") as folder,
        pytest.MonkeyPatch.context() as m,
    ):
        m.setattr(chorales, "chorale_files", chorale_files)
        m.setattr(chorale_tunes, "TEST_FRACTION", 0.25)
        m.setattr(chorale_tunes, "VALIDATION_FRACTION", 0.2)
        m.setattr(folk_tunes, "MAX_TUNES", 15)
        for name in ("chorales", "folk_tunes"):
            prepare(name, str(folder))
    return str(folder)


@pytest.fixture(scope="session")
def text_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same folder with a verse in twenty of `simple_bible`."""
    from regen_jax.data.builders.simple_bible import builder as simple_bible

    split_verses = simple_bible.split_verses

    def few(*bibles: dict) -> dict[str, list[dict]]:
        return {name: v[::20] for name, v in split_verses(*bibles).items()}

    return _prepared(
        tmp_path_factory, "simple_bible", {(simple_bible, "split_verses"): few}
    )


@pytest.fixture(scope="session")
def emoji_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same folder with an emoji in thirty of `openmoji`, the red heart among them."""
    from regen_jax.data.builders.openmoji import builder as openmoji

    read_captions = openmoji.read_captions

    def few(*files: Path) -> dict[str, str]:
        listed = read_captions(*files)
        stems = [*itertools.islice(listed, 0, None, 30), "2764"]
        return {stem: listed[stem] for stem in stems}

    return _prepared(tmp_path_factory, "openmoji", {(openmoji, "read_captions"): few})


@pytest.fixture(scope="session")
def sounds_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same folder with `spoken_sounds` of eight classes, 96 of train and 32 others."""
    # Its features name all classes, whatever is replaced afterwards.
    from regen_jax.data.builders.spoken_sounds.builder import combinations

    few = {"TRAIN_SIZE": 96, "SEEN_PER_CLASS": 1, "HELD_OUT_PER_CLASS": 1}
    few["CLASSES"] = ("one", "seven", *"abefmw")
    replaced = {(combinations, name): value for name, value in few.items()}
    return _prepared(tmp_path_factory, "spoken_sounds", replaced)


@pytest.fixture(scope="session")
def clips_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same folder with the smallest video of `real_clips`."""
    from regen_jax.data.builders.real_clips import builder as real_clips

    sources = {"carphone": real_clips.SOURCES["carphone"]}
    return _prepared(tmp_path_factory, "real_clips", {(real_clips, "SOURCES"): sources})


@pytest.fixture(scope="session")
def moving_digits_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same folder with few clips of `moving_digits`."""
    from regen_jax.data.builders.moving_digits import builder as moving_digits

    sizes = {"train": 150, "validation": 30, "test": 36}
    return _prepared(
        tmp_path_factory, "moving_digits", {(moving_digits, "SIZES"): sizes}
    )


@pytest.fixture(scope="session")
def faces_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same folder with 12 clips of `talking_faces`, 4 each that are held out."""
    from regen_jax.data.builders.talking_faces import builder as talking_faces

    sizes = {"TRAIN_SIZE": 12, "HELD_OUT_SIZE": 4}
    replaced = {(talking_faces, name): size for name, size in sizes.items()}
    return _prepared(tmp_path_factory, "talking_faces", replaced)


@pytest.fixture(scope="session")
def data_dir(
    digits_dir: str,
    speech_dir: str,
    music_dir: str,
    text_dir: str,
    emoji_dir: str,
    sounds_dir: str,
    clips_dir: str,
    moving_digits_dir: str,
    faces_dir: str,
) -> str:
    """The same folder with the sets of all of these."""
    return digits_dir
