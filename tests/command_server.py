"""Runs commands as forks of an interpreter that has imported what they need.

`command_server.py descriptor python` serves `command_client.py` until its stdin ends.
Commands start in milliseconds so, and each is still a process of its own. The command
`tests.traces` alone runs in the server, so that later forks have what it traces.
"""

import contextlib
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import traceback
import types
import warnings

import jax

import launch.report  # noqa: F401
import regen_jax.cli.evaluate_run
import regen_jax.cli.sample_run
import regen_jax.cli.train_run
import regen_jax.data.tfds.prepare  # noqa: F401
from regen_jax.config import options_table
from tests import faster_jax, traces


def become(
    option: str,
    program: str,
    arguments: list[str],
    environment: dict[str, str],
    folder: str,
) -> None:
    """`python option program arguments` in this process and folder, by `-m` or `-c`."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if devices := environment.get("JAX_NUM_CPU_DEVICES"):
        # JAX has read its variables.
        jax.config.update("jax_num_cpu_devices", int(devices))
    sys.argv = [program if option == "-m" else option, *arguments]
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [folder, *(os.path.abspath(path) for path in paths if path)]
    status = 0
    try:
        if option == "-m":
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        else:
            # Without the names of this module, which would stand in for its imports.
            sys.modules["__main__"] = types.ModuleType("__main__")
            exec(program, vars(sys.modules["__main__"]))
    except SystemExit as exit:
        status = exit.code or 0
        if isinstance(status, str):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    os._exit(status)


def _trace(*arguments: str) -> int:
    """Traces a run in this process, and returns the exit status."""
    try:
        traces.trace(*arguments)
    except Exception:
        traceback.print_exc()
        return 1
    gc.freeze()
    return 0


class Server:
    """Forks at a request of a client, and kills the fork when the client dies."""

    def __init__(self, descriptor: int):
        self._listener = socket.socket(fileno=descriptor)
        self._clients: dict[int, socket.socket] = {}
        # Signals of forks that end wake the loop.
        self._wake, self._signals = socket.socketpair()
        for end in (self._wake, self._signals):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._signals.fileno(), warn_on_full_buffer=False)
        self._selector = selectors.DefaultSelector()
        for source in (self._listener, self._wake, sys.stdin):
            self._selector.register(source, selectors.EVENT_READ)

    def run(self) -> None:
        """Serves until stdin ends."""
        while True:
            ready = [key.fileobj for key, _ in self._selector.select()]
            if sys.stdin in ready:
                for pid in self._clients:
                    os.kill(pid, signal.SIGKILL)
                return
            # Before new ones start: they may use the same folder.
            for pid, client in list(self._clients.items()):
                if client in ready:
                    os.kill(pid, signal.SIGKILL)
                    self._ended(*os.waitpid(pid, 0))
            if self._wake in ready:
                self._wake.recv(1000)
                while self._clients:
                    pid, status = os.waitpid(-1, os.WNOHANG)
                    if not pid:
                        break
                    self._ended(pid, status)
            if self._listener in ready:
                self._start(self._listener.accept()[0])

    def _start(self, client: socket.socket) -> None:
        _, files, _, _ = socket.recv_fds(client, 1, 3)
        with client.makefile() as lines:
            request = json.loads(lines.readline())
        if request["program"] == traces.__name__:
            with client:
                status = _trace(*request["arguments"])
                client.sendall(b"%d\n%d\n" % (os.getpid(), status))
            for file in files:
                os.close(file)
            return
        pid = os.fork()
        if pid == 0:
            self._leave()
            for number, file in enumerate(files):
                os.dup2(file, number)
            for file in (*files, client.detach()):
                os.close(file)
            become(**request)
        for file in files:
            os.close(file)
        client.sendall(b"%d\n" % pid)
        self._clients[pid] = client
        self._selector.register(client, selectors.EVENT_READ)

    def _ended(self, pid: int, status: int) -> None:
        client = self._clients.pop(pid)
        self._selector.unregister(client)
        with client:
            with contextlib.suppress(BrokenPipeError):
                client.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))

    def _leave(self) -> None:
        """Makes a fork a process of its own."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # What a shell runs in the background ignores SIGINT, and so would its forks.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Signals of a terminal reach the client, which passes them on.
        os.setsid()
        self._selector.close()
        for end in (self._listener, self._wake, self._signals):
            end.close()
        for client in self._clients.values():
            client.close()


if __name__ == "__main__":
    server = Server(int(sys.argv[1]))
    sys.executable = sys.argv[2]
    # JAX and Python warn of forks beside threads; none of JAX's has started here.
    warnings.filterwarnings("ignore", r".*fork\(\)")
    # Python warns where a command's module is imported already, as here some are.
    warnings.filterwarnings("ignore", ".*found in sys.modules", RuntimeWarning)
    options_table.parts()  # Imports them all.
    faster_jax.install()
    gc.freeze()
    server.run()
