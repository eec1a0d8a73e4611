"""What all tests share. Read before any test module, and so before JAX."""

import fcntl
import os
from pathlib import Path

import pytest

_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_cache / "regen_jax" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
# The same XLA program, but less work on its machine code: compiling is most of the time.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")


def pytest_configure(config: pytest.Config) -> None:
    import jax

    # Not by a variable of the environment: commands that tests start see one device.
    jax.config.update("jax_num_cpu_devices", 8)
    # JAX writes a cache entry in place, so another worker may read half of one, and a
    # killed process leaves it so for good. JAX warns and compiles.
    config.addinivalue_line(
        "filterwarnings",
        "ignore:Error (reading|writing) persistent compilation cache:UserWarning",
    )


@pytest.fixture(scope="session")
def digits_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data folder that holds the digits, prepared once for all workers."""
    from regen_jax.data.prepare import prepare

    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    data_dir = str(shared / "data")
    with open(shared / "data.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prepare("digits", data_dir)
    return data_dir
