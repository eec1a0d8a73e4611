import shutil
from pathlib import Path

import pytest


@pytest.fixture
def workdir(trained: Path, tmp_path: Path) -> Path:
    """A copy of a finished run, which a test may change."""
    return shutil.copytree(trained, tmp_path / "run")
