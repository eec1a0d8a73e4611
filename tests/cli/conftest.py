import shutil

import pytest


@pytest.fixture
def workdir(trained, tmp_path):
    """A copy of a finished run, which a test may change."""
    return shutil.copytree(trained, tmp_path / "run")
