"""How a process that takes in many events uses memory."""

import ctypes
import gc

__all__ = ["prepare_for_many_events"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of parameters in glibc's malloc.h."""
_KEPT_BYTES, _LARGEST_BYTES = 128 << 20, 32 << 20


def prepare_for_many_events() -> None:
    """Make this process fast at what comes and goes by the thousand."""
    _collect_rarely()
    _keep_what_is_freed()


def _collect_rarely() -> None:
    """Let the garbage collector look for cycles rarely, and never at what the imports made.

    It counts what is made, not what is lost: by default thousands of records that wait to be counted have it search
    all of them every few milliseconds. No cycle holds events, so what they take is given back without it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def _keep_what_is_freed() -> None:
    """Let the allocator keep some memory that is free, for what is needed next.

    Else every fetch's buffers are given back and asked for again, page by page: a third of what fetching costs.
    Where the C library is not glibc nothing is changed. See mallopt(3).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
