"""Runs commands in processes that start in milliseconds."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parent.parent


class Commands:
    """Runs `python -m` of a module, as (name, *flags, **environment)."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __enter__(self) -> Self:
        server = [sys.executable, Path(__file__).parent / "command_server.py"]
        self._server = subprocess.Popen(
            server,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.communicate()

    def __call__(
        self, name: str, *flags: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return self.run(f"regen_jax.{name}", *flags, **environment)

    def run(
        self, module: str, *flags: str, folder: Path = ROOT, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """`python -m module flags`, in that folder."""
        output = Path(tempfile.mkdtemp(dir=self.folder))
        request = {
            "module": module,
            "arguments": flags,
            "environment": environment,
            "folder": str(folder),
            "output": str(output),
        }
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        status = int(self._server.stdout.readline())
        texts = [(output / name).read_text() for name in ("stdout", "stderr")]
        return subprocess.CompletedProcess(flags, status, *texts)
