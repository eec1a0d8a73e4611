"""Runs commands in processes that start in milliseconds."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

TESTS = Path(__file__).parent
ROOT = TESTS.parent


class Commands:
    """Runs `python -m` of a module, as (name, *flags, **environment).

    Attributes:
      python: a program in place of `sys.executable`, whose `-m` starts so. Commands that
        start others have it there too.
    """

    def __init__(self, folder: Path):
        self.python = str(folder / "python")
        # A path in `folder` may be too long for a socket.
        self._sockets = tempfile.TemporaryDirectory(prefix="commands")

    def __enter__(self) -> Self:
        address = f"{self._sockets.name}/socket"
        with open(self.python, "w") as script:
            # Without `site`, Python itself starts in a fiftieth of a second.
            client = f"{sys.executable} -SE {TESTS}/command_client.py"
            script.write(f'#!/bin/sh\nexec {client} {address} {sys.executable} "$@"\n')
        os.chmod(self.python, 0o755)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen(64)
            server = [f"{TESTS}/command_server.py", str(listener.fileno()), self.python]
            self._server = subprocess.Popen(
                [sys.executable, *server],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                pass_fds=[listener.fileno()],
                stdin=subprocess.PIPE,
            )
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.communicate()
        self._sockets.cleanup()

    def __call__(
        self, name: str, *flags: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return self.run(f"regen_jax.{name}", *flags, **environment)

    def run(
        self, module: str, *flags: str, folder: Path = ROOT, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """`python -m module flags`, in that folder."""
        return subprocess.run(
            [self.python, "-m", module, *flags],
            cwd=folder,
            env={**os.environ, **environment},
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
