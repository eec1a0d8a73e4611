"""SIGTERM: the scheduler wants the machine back. Save, and ask to be started again."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Self

from jax.experimental import multihost_utils

from regen_jax.training.parallel import processes


class Preempted(BaseException):
    """Raised in a run that was told to stop, at a moment when nothing is lost."""


class Preemption:
    """A context that turns SIGTERM into `Preempted`.

    It is raised at once but for what runs in `deferred`, which asks `due`. Several
    processes agree on the step to stop at, whichever of them gets the signal: JAX has a
    service for that, and catches the signal itself.
    """

    def __init__(self):
        self._told = False
        self._wait = False
        self._before = None

    def __enter__(self) -> Self:
        # Python lets only the main thread handle signals.
        main = threading.current_thread() is threading.main_thread()
        if main and processes.count() == 1:
            self._before = signal.signal(signal.SIGTERM, self._catch)
        return self

    def __exit__(self, *_) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def due(self, step: int) -> bool:
        """Whether to save and stop at this step; every process asks at every step."""
        if processes.count() > 1:
            return multihost_utils.reached_preemption_sync_point(step)
        return self._told

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """SIGTERM only makes `due` true here."""
        with self._waiting(True):
            yield

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Within `deferred`, what may be left at any moment."""
        with self._waiting(False):
            if self._told:
                raise Preempted
            yield

    @contextlib.contextmanager
    def _waiting(self, wait: bool) -> Iterator[None]:
        before, self._wait = self._wait, wait
        try:
            yield
        finally:
            self._wait = before

    def _catch(self, *_) -> None:
        self._told = True
        if not self._wait:
            raise Preempted
