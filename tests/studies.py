"""Studies of `experiments/` run as programs."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run_study(name: str, *arguments: str) -> subprocess.CompletedProcess:
    """Runs `experiments.<name>.run`, which finds the parts in `tests/outside` too."""
    paths = [str(ROOT), str(ROOT / "tests/outside")]
    return subprocess.run(
        [sys.executable, "-m", f"experiments.{name}.run", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        check=False,
        capture_output=True,
        text=True,
    )
