"""What makes the many small programs of tests cheaper to trace and lower."""

import functools
import gc

from jax._src.interpreters import mlir
from jax._src.lib.mlir import ir


def install() -> None:
    """Changes this process and its forks."""
    # Tracing makes many small objects: looking through them takes a tenth of the time.
    # What is found is little: a process holds 34 MB more if it never looks.
    gc.set_threshold(1_000_000)
    # Each program has a context of its own otherwise: a quarter of the time that it takes
    # to lower, and half of the memory of a process that keeps thousands of them.
    mlir.make_ir_context = functools.cache(mlir.make_ir_context)
    # Nor do programs name the modules and lines that operations come from: a tenth of the
    # time to lower them and to read them back.
    mlir.source_info_to_location = lambda *_, **__: ir.Location.unknown()
