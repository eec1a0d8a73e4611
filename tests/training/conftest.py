"""The toy stage and a run of it, for all tests of training."""

from pathlib import Path

import pytest

from tests.training.toy import Toy


@pytest.fixture(scope="session")
def toy() -> Toy:
    return Toy()


@pytest.fixture(scope="session")
def whole(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of six steps that nothing stopped."""
    workdir = tmp_path_factory.mktemp("whole")
    toy.train(workdir)
    return workdir
