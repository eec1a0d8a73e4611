"""What a command left: its files, and its error."""

import re
import subprocess
from pathlib import Path


def snapshot(folder: Path) -> dict[Path, tuple[int, int]]:
    """Returns the time of change and the size of everything in a folder."""
    return {
        path: (path.lstat().st_mtime_ns, path.lstat().st_size)
        for path in [folder, *folder.rglob("*")]
    }


def assert_user_error(done: subprocess.CompletedProcess[str], *patterns: str) -> None:
    """Asserts exit status 2 and one error line, on stderr, that has all patterns."""
    assert done.returncode == 2, done
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done
    assert done.stdout == ""
    for pattern in patterns:
        assert re.search(pattern, done.stderr), done.stderr
