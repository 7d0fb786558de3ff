"""The system's calls that Python has no function for."""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache

__all__ = ["called", "libc", "reserve"]

FALLOC_FL_KEEP_SIZE = 1


@lru_cache
def libc() -> ctypes.CDLL:
    """Return the C library."""
    return ctypes.CDLL(None, use_errno=True)


def called(result: int, path: str | None = None) -> int:
    """Return what a call returned.

    :raises OSError: if that says that it failed.
    """
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return result


def reserve(descriptor: int, size: int) -> None:
    """Have the file system keep room for the first `size` bytes of a file, whose size stays as it is.

    :raises OSError: if there is no room, or the file system keeps none.
    """
    called(libc().fallocate(descriptor, FALLOC_FL_KEEP_SIZE, ctypes.c_int64(0), ctypes.c_int64(size)))
