"""What commands that refuse must hold to."""

import re
import subprocess
from pathlib import Path


def snapshot(folder: Path) -> dict[Path, tuple[int, int]]:
    """Returns when each file of a folder was written, and its size."""
    return {
        path: (path.lstat().st_mtime_ns, path.lstat().st_size)
        for path in [folder, *folder.rglob("*")]
    }


def assert_refused(done: subprocess.CompletedProcess, *words: str) -> None:
    """One line on stderr, and an exit status that is not 0."""
    assert done.returncode == 2, done
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done
    assert done.stdout == ""
    for word in words:
        assert re.search(word, done.stderr), done.stderr
