"""The toy stage, for all tests of training."""

import pytest

from tests.training.toy import Toy


@pytest.fixture(scope="session")
def toy() -> Toy:
    return Toy()
