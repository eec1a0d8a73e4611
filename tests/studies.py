"""Studies of `experiments/` run as programs."""

import os
import subprocess

from tests.commands import ROOT, Commands


def run_study(
    command: Commands, name: str, *arguments: str
) -> subprocess.CompletedProcess:
    """Runs `experiments.<name>.run`, which finds the parts in `tests/outside` too."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests/outside")])
    return command.run(f"experiments.{name}.run", *arguments, PYTHONPATH=paths)
