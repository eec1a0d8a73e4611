"""Saves a run on SIGTERM, by which schedulers preempt it, so that it can resume."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Self

from jax.experimental import multihost_utils

from regen_jax.training.parallel import processes


class Preempted(BaseException):
    """Raised in a run that was asked to stop, at a moment when nothing is lost."""


class Preemption:
    """A context that turns SIGTERM into `Preempted`.

    It is raised at once, except within `deferred`, where the loop asks `due`. Several
    processes agree on the step to stop at, whichever of them gets the signal: JAX has a
    service for that, and catches the signal itself.
    """

    def __init__(self):
        self._requested = False
        self._deferring = False
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
        """Returns whether to stop at this step; every process asks at every step."""
        if processes.count() > 1:
            return multihost_utils.reached_preemption_sync_point(step)
        return self._requested

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Defers SIGTERM within this context: it only makes `due` true."""
        with self._set_deferring(True):
            yield

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Lets SIGTERM end this context, within `deferred`, at any moment."""
        with self._set_deferring(False):
            if self._requested:
                raise Preempted
            yield

    @contextlib.contextmanager
    def _set_deferring(self, deferring: bool) -> Iterator[None]:
        before, self._deferring = self._deferring, deferring
        try:
            yield
        finally:
            self._deferring = before

    def _catch(self, *_) -> None:
        self._requested = True
        if not self._deferring:
            raise Preempted
