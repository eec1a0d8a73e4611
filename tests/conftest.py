"""What all tests share. Read before any test module, and so before JAX."""

import contextlib
import fcntl
import functools
import gc
import itertools
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands import Commands

ROOT = Path(__file__).parent.parent

_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_cache / "regen_jax" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.03")
# The same XLA program, but less work on its machine code: compiling is most of the time.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
# Programs without the lines that they come from are lowered in a twentieth less time.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")


def pytest_configure(config: pytest.Config) -> None:
    import jax

    # Tracing makes many small objects: looking through them takes a tenth of the time.
    gc.set_threshold(100_000)
    # Not by a variable of the environment: commands that tests start see one device.
    jax.config.update("jax_num_cpu_devices", 8)

    from tests import shapes
    from tests.file_order import LongestFilesFirst

    # Before any part is imported, so that the methods of all of them are checked.
    shapes.install()
    seconds = _cache / "regen_jax" / "test_seconds.json"
    config.pluginmanager.register(LongestFilesFirst(config, seconds))


@pytest.fixture(scope="session")
def digits_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data folder that holds the digits, prepared once for all workers."""
    from regen_jax.data.tfds.prepare import prepare

    with _shared(tmp_path_factory, "data") as folder:
        prepare("digits", str(folder))
    return str(folder)


@pytest.fixture(scope="session")
def speech_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same folder with the speech sets too: few of those that are made here."""
    from regen_jax.data.builders.pronunciations import builder as pronunciations
    from regen_jax.data.builders.spoken_bible import builder as spoken_bible
    from regen_jax.data.tfds.prepare import prepare
    from regen_jax.modalities.text import pronunciation

    with (
        _shared(tmp_path_factory, "data") as folder,
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
        _shared(tmp_path_factory, "data") as folder,
        pytest.MonkeyPatch.context() as m,
    ):
        m.setattr(chorales, "chorale_files", chorale_files)
        m.setattr(chorale_tunes, "TEST_FRACTION", 0.25)
        m.setattr(chorale_tunes, "VALIDATION_FRACTION", 0.2)
        m.setattr(folk_tunes, "MAX_TUNES", 15)
        for name in ("chorales", "folk_tunes"):
            prepare(name, str(folder))
    return str(folder)


def _prepared(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    replaced: dict[tuple[Any, str], Any],
) -> str:
    """Prepares a set in the shared folder, with attributes of its builder replaced."""
    from regen_jax.data.tfds.prepare import prepare

    with (
        _shared(tmp_path_factory, "data") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        for (owner, attribute), value in replaced.items():
            patch.setattr(owner, attribute, value)
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
    """The same folder with 144 of the `spoken_sounds` of train, 72 of the others."""
    from regen_jax.data.builders.spoken_sounds import combinations

    few = {"TRAIN_SIZE": 144, "SEEN_PER_CLASS": 1, "HELD_OUT_PER_CLASS": 1}
    replaced = {(combinations, name): size for name, size in few.items()}
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


@pytest.fixture(scope="session")
def shared(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], contextlib.AbstractContextManager[Path]]:
    """By name, a folder that all workers share, for one of them at a time."""
    return functools.partial(_shared, tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_flags(digits_dir: str) -> list[str]:
    """Flags of `train` for a run of seconds, that saves often and logs every step."""
    return [
        f"--config={ROOT}/configs/digits.py:size=tiny",
        f"--config.data.dir={digits_dir}",
        "--config.checkpoint.every=5",
        "--config.log.every=1",
    ]


@pytest.fixture(scope="session")
def tiny_config(digits_dir):
    """Makes `configs/digits.py` at its tiny size, of choices such as `decoder=…`."""
    path = ROOT / "configs" / "digits.py"
    get_config = runpy.run_path(str(path))["get_config"]

    def make(choices: str):
        config = get_config(f"size=tiny,{choices}")
        config.data.dir = digits_dir
        return config

    return make


@pytest.fixture(scope="session")
def tiny_run(tiny_config):
    """Builds a `tiny_config`."""
    from regen_jax.config.build import build

    return lambda choices: build(tiny_config(choices))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_flags: list[str]) -> Path:
    """The workdir of a run of those flags, for all workers: to be copied or read.

    What `train` wrote on its outputs is in the file `output` of the folder above.
    """
    with _shared(tmp_path_factory, "trained") as folder:
        output = folder / "output"
        if not output.exists():
            command = [sys.executable, "-m", "regen_jax.train", *tiny_flags]
            done = subprocess.run(
                [*command, f"--workdir={folder}/run"],
                cwd=ROOT,
                check=False,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            assert done.returncode == 0, done.stdout
            output.write_text(done.stdout)
    return folder / "run"


@pytest.fixture(scope="session")
def swept(
    shared: Callable[[str], contextlib.AbstractContextManager[Path]],
    tiny_flags: list[str],
) -> Callable[[], contextlib.AbstractContextManager[Path]]:
    """The folder of a sweep of three runs, whose last fails: for one worker at a time.

    Its `runs` is the sweep's workdir. What the sweep wrote is in `stderr`, and how it is
    started again in `command`, a JSON list.
    """

    @contextlib.contextmanager
    def held() -> Iterator[Path]:
        with shared("sweep") as folder:
            if not (folder / "stderr").exists():
                (folder / "sweep.py").write_text(
                    "from launch.algebra import grid\n"
                    "field = 'train.prior.schedule.learning_rate'\n"
                    "get_sweep = lambda: grid(field, 1e-3, 2e-3, 1e20)\n"
                )
                config, *extra = tiny_flags
                command = [sys.executable, "-m", "launch.sweep", config]
                command += [f"--sweep={folder}/sweep.py", f"--workdir={folder}/runs"]
                command += ["--parallel=2", "--", *extra]
                (folder / "command").write_text(json.dumps(command))
                done = subprocess.run(
                    command, cwd=ROOT, capture_output=True, text=True, check=False
                )
                assert done.returncode == 1, done.stderr
                (folder / "stderr").write_text(done.stderr)
            yield folder

    return held


@pytest.fixture(scope="session")
def speech_run(
    speech_dir: str,
    command: Commands,
    shared: Callable[[str], contextlib.AbstractContextManager[Path]],
) -> Callable[..., Path]:
    """Runs `train` on a config (config, *flags), once for all workers: the workdir."""

    def trained(config: str, *flags: str) -> Path:
        with shared(re.sub(r"\W", "_", config)) as folder:
            if not (folder / "done").exists():
                done = command(
                    "train",
                    f"--config={ROOT}/configs/{config}",
                    f"--config.data.dir={speech_dir}",
                    f"--workdir={folder}/run",
                    *flags,
                )
                assert done.returncode == 0, done.stderr
                (folder / "done").touch()
        return folder / "run"

    return trained


@pytest.fixture(scope="session")
def synthesis(speech_run: Callable[..., Path]) -> Path:
    """The workdir of a tiny run of text → mel → wave."""
    return speech_run(
        "speech_synthesis.py:size=tiny", "--config.data.max_seconds=1.024"
    )


@pytest.fixture
def without_data(tmp_path: Path) -> Callable[[Path], Path]:
    """Copies a workdir, and points its config to a folder without prepared data."""

    def copy(workdir: Path) -> Path:
        gone = tmp_path / "gone"
        gone.mkdir()
        alone = Path(shutil.copytree(workdir, tmp_path / "alone"))
        config = json.loads((alone / "config.json").read_text())
        config["data"]["dir"] = str(gone)
        (alone / "config.json").write_text(json.dumps(config))
        return alone

    return copy


@pytest.fixture(scope="session")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """Runs `regen_jax.train` and the others, as (name, *flags, **environment)."""
    with Commands(tmp_path_factory.mktemp("commands")) as commands:
        yield commands


@contextlib.contextmanager
def _shared(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A folder that all workers share, for one of them at a time."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / name
    folder.mkdir(exist_ok=True)
    with open(shared / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
