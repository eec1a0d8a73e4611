"""The longest files begin first, so that no worker is left alone with one."""

import collections
import json
from pathlib import Path

import pytest

from regen_jax import files


class LongestFilesFirst:
    """Orders files by the seconds that they took in earlier runs, stored in a file.

    Files that were never run come first, the largest before others.
    """

    def __init__(self, config: pytest.Config, path: Path):
        self.path = path
        given = getattr(config, "workerinput", None)
        self.is_worker = given is not None
        self.seconds: dict[str, float] = given["seconds"] if given else _read(path)
        self.measured: collections.Counter = collections.Counter()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node) -> None:
        """Gives all workers the same order."""
        node.workerinput["seconds"] = self.seconds

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        def rank(item: pytest.Item) -> tuple[float, int]:
            seconds = self.seconds.get(_file(item.nodeid), float("inf"))
            return -seconds, -item.path.stat().st_size

        items.sort(key=rank)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.measured[_file(report.nodeid)] += report.duration

    def pytest_sessionfinish(self) -> None:
        if self.is_worker or not self.measured:
            return
        # Of a file of which a part was run, the time of the whole stays.
        longest = collections.Counter(_read(self.path)) | self.measured
        self.path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(self.path, json.dumps(longest, indent=1))


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _read(path: Path) -> dict[str, float]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
