"""Being told that a file has changed, by inotify(7)."""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache

__all__ = ["FileWatch"]

IN_MODIFY = 0x2
IN_CLOSE_WRITE = 0x8
_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK


@lru_cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


class FileWatch:
    """Becomes readable when one of the watched files was written to, or was closed by the last who could write to it.

    :raises OSError: if the user has too many watches.
    """

    def __init__(self) -> None:
        self._descriptor = _checked(_libc().inotify_init1(_FLAGS), None)

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._descriptor

    def add(self, path: str) -> None:
        """Watch a file as well."""
        _checked(_libc().inotify_add_watch(self._descriptor, os.fsencode(path), IN_MODIFY | IN_CLOSE_WRITE), path)

    def drain(self) -> None:
        """Forget what has happened so far."""
        try:
            while os.read(self._descriptor, 65536):
                pass
        except BlockingIOError:
            pass  # that was all

    def close(self) -> None:
        """Stop watching."""
        os.close(self._descriptor)


def _checked(result: int, path: str | None) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return result
