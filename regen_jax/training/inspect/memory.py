"""How the C library hands out memory to XLA on a CPU."""

import ctypes

# Parameters of mallopt(3), from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> None:
    """Makes glibc keep the memory that XLA frees; does nothing with another C library.

    On a CPU XLA allocates the temporaries of a program at every call. By default glibc
    gives large ones back to the kernel each time, and page faults then take up to a
    third of a training step. To be called before JAX starts its threads, which would
    have heaps of their own. With an accelerator it makes no difference.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_M_ARENA_MAX, 1)
