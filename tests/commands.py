"""Runs commands in processes that start in milliseconds."""

import contextlib
import dataclasses
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent


@dataclasses.dataclass(frozen=True)
class Commands:
    """Runs `python -m` of a module, as (name, *flags, **environment).

    Attributes:
      python: a program in place of `sys.executable`, whose `-m` and `-c` start so.
        Commands that start others have it there too.
    """

    python: str

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


@contextlib.contextmanager
def served() -> Iterator[str]:
    """Starts the server of commands: the program of `Commands`, until the context ends."""
    # In a folder of a test, a path may be too long for a socket.
    with tempfile.TemporaryDirectory(prefix="commands") as folder:
        address, python = f"{folder}/socket", f"{folder}/python"
        with open(python, "w") as script:
            # Without `site`, Python itself starts in a fiftieth of a second.
            client = f"{sys.executable} -SE {TESTS}/command_client.py"
            script.write(f'#!/bin/sh\nexec {client} {address} {sys.executable} "$@"\n')
        os.chmod(python, 0o755)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen(64)
            command = [f"{TESTS}/command_server.py", str(listener.fileno()), python]
            server = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                pass_fds=[listener.fileno()],
                stdin=subprocess.PIPE,
            )
        try:
            yield python
        finally:
            server.communicate()


class OneServer:
    """One server of commands for all workers: its imports take seconds."""

    def __init__(self) -> None:
        self._exits = contextlib.ExitStack()
        self._python = ""

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node) -> None:
        """Starts it with the first worker."""
        self._python = self._python or self._exits.enter_context(served())
        node.workerinput["python"] = self._python

    def pytest_unconfigure(self) -> None:
        self._exits.close()
