"""What all tests share. Read before any test module, and so before JAX."""

import contextlib
import functools
import gc
import json
import os
import re
import resource
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.commands import Commands, OneServer, served
from tests.prepared import shared_folder

ROOT = Path(__file__).parent.parent

_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "regen_jax"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_cache / "jax"))
# Here and in processes that tests start, bytecode is kept: each worker takes seconds to
# rewrite the assertions of all tests. It lies beside the sources, as that of the installed
# packages does: another place would have none of theirs, 10 s of work for each process.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# To compile even a tiny program takes ten times as long as to read it.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# The same XLA program, but less work on its machine code: compiling is most of the time.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
if version("jaxlib").startswith("0.10."):
    # Its newer emitter of fusions takes two thirds of that work; later XLA has no other.
    emitter = "--xla_cpu_use_fusion_emitters=false"
    flags = os.environ.get("XLA_FLAGS", "").split()
    # Once, in workers too: programs are stored by these flags, as they are written.
    os.environ["XLA_FLAGS"] = " ".join(dict.fromkeys([*flags, emitter]))
# As many threads as XLA takes a machine to have. With one to a core, those that wait for a
# reduction over eight simulated devices hold them all, and the process aborts in time.
os.environ.setdefault("NPROC", "32")


def pytest_configure(config: pytest.Config) -> None:
    import jax

    # Not by a variable of the environment: commands that tests start see one device.
    jax.config.update("jax_num_cpu_devices", 8)

    from tests import faster_jax, prepared, shapes
    from tests.file_order import LongestFilesFirst

    faster_jax.install()
    # Before any part is imported, so that the methods of all of them are checked.
    shapes.install()
    seconds = _cache / "test_seconds.json"
    config.pluginmanager.register(LongestFilesFirst(config, seconds))
    config.pluginmanager.register(prepared)
    config.pluginmanager.register(OneServer())


def pytest_sessionfinish() -> None:
    # pytest collects five times after the last test: once is enough for the programs.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], contextlib.AbstractContextManager[Path]]:
    """By name, a folder that all workers share, for one of them at a time."""
    return functools.partial(shared_folder, tmp_path_factory)


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
def trained(
    tmp_path_factory: pytest.TempPathFactory, tiny_flags: list[str], command: Commands
) -> Path:
    """The workdir of a run of those flags, for all workers: to be copied or read.

    What `train` wrote on its outputs is in the file `output` of the folder above. Commands
    on such runs find them traced.
    """
    with shared_folder(tmp_path_factory, "trained") as folder:
        output = folder / "output"
        if not output.exists():
            train = [sys.executable, "-m", "regen_jax.train", *tiny_flags]
            done = subprocess.run(
                [*train, f"--workdir={folder}/run"],
                cwd=ROOT,
                check=False,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            assert done.returncode == 0, done.stdout
            output.write_text(done.stdout)
        done = command.run("tests.traces", f"{folder}/run")
        assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture(scope="session")
def evaluated(
    trained: Path,
    shared: Callable[[str], contextlib.AbstractContextManager[Path]],
    command: Commands,
) -> Path:
    """A copy of that run after `evaluate` on both splits, for all workers: to be read.

    The folder above has what `evaluate` wrote on the test split, and on its outputs.
    """
    with shared("evaluated") as folder:
        run = folder / "run"
        if not (folder / "stdout").exists():
            shutil.copytree(trained, run)
            done = command("evaluate", f"--workdir={run}")
            assert done.returncode == 0, done.stderr
            shutil.copy(run / "metrics.json", folder)
            (folder / "stderr").write_text(done.stderr)
            validated = command("evaluate", f"--workdir={run}", "--split=validation")
            assert validated.returncode == 0, validated.stderr
            (folder / "stdout").write_text(done.stdout)
    return run


@pytest.fixture(scope="session")
def swept(
    shared: Callable[[str], contextlib.AbstractContextManager[Path]],
    tiny_flags: list[str],
    command: Commands,
) -> Callable[[], contextlib.AbstractContextManager[Path]]:
    """The folder of a sweep of three runs, whose last fails: for one worker at a time.

    Its `runs` is the sweep's workdir. What the sweep wrote is in `stderr`, and its module
    and flags are in `command`, a JSON list.
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
                flags = ["launch.sweep", config, f"--sweep={folder}/sweep.py"]
                flags += [f"--workdir={folder}/runs", "--parallel=2", "--", *extra]
                (folder / "command").write_text(json.dumps(flags))
                done = command.run(*flags)
                assert done.returncode == 1, done.stderr
                (folder / "stderr").write_text(done.stderr)
            yield folder

    return held


@pytest.fixture(scope="session")
def train_config(command: Commands) -> Callable[..., Path]:
    """Runs `train` on a config (config, data_dir, workdir, *flags): the workdir.

    What it logged is in the file `log` of the folder above.
    """

    def train(config: str, data_dir: str, workdir: Path, *flags: str) -> Path:
        done = command(
            "train",
            f"--config={ROOT}/configs/{config}",
            f"--config.data.dir={data_dir}",
            f"--workdir={workdir}",
            *flags,
        )
        assert done.returncode == 0, done.stderr
        (workdir.parent / "log").write_text(done.stderr)
        return workdir

    return train


@pytest.fixture(scope="session")
def train_once(
    train_config: Callable[..., Path],
    shared: Callable[[str], contextlib.AbstractContextManager[Path]],
) -> Callable[..., Path]:
    """As `train_config` (config, data_dir, *flags), once for all workers and equal flags.

    Stages take four steps: what reads the run does not depend on how good it is.
    """

    def train(config: str, data_dir: str, *flags: str) -> Path:
        name, _, choices = config.partition(":")
        get_config = runpy.run_path(f"{ROOT}/configs/{name}")["get_config"]
        steps = (
            f"--config.train.{stage}.steps=4" for stage in get_config(choices).train
        )
        with shared(re.sub(r"\W", "_", "".join([config, *flags]))) as folder:
            if not (folder / "log").exists():
                train_config(config, data_dir, folder / "run", *steps, *flags)
        return folder / "run"

    return train


@pytest.fixture(scope="session")
def synthesis(train_once: Callable[..., Path], speech_dir: str) -> Path:
    """The workdir of a tiny run of text → mel → wave."""
    seconds = "--config.data.max_seconds=1.024"
    return train_once("speech_synthesis.py:size=tiny", speech_dir, seconds)


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
def command(pytestconfig: pytest.Config) -> Iterator[Commands]:
    """Runs `regen_jax.train` and the others, as (name, *flags, **environment)."""
    with contextlib.ExitStack() as exits:
        given = getattr(pytestconfig, "workerinput", {})
        yield Commands(given.get("python") or exits.enter_context(served()))


@pytest.fixture
def collected() -> Iterator[None]:
    """Collects what a test leaves, within it: coroutines of Orbax after a failure."""
    gc.freeze()  # Programs of other tests are millions of objects to look through.
    yield
    gc.collect()
    gc.unfreeze()


@pytest.fixture
def full_disk() -> Callable[[int], contextlib.AbstractContextManager[None]]:
    """By a number of bytes, a context in which no file of this process grows beyond it."""

    @contextlib.contextmanager
    def limited(size: int) -> Iterator[None]:
        former = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, former)

    return limited
