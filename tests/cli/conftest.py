import shutil
from pathlib import Path

import pytest


@pytest.fixture
def workdir(trained: Path, tmp_path: Path) -> Path:
    """A finished run of one's own."""
    return shutil.copytree(trained, tmp_path / "run")
