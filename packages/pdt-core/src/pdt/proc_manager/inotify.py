"""Being told that a file has changed, by inotify(7)."""

from __future__ import annotations

import os
import struct

from .native import called, libc

__all__ = ["FileWatch"]

IN_MODIFY = 0x2
IN_CLOSE_WRITE = 0x8
IN_Q_OVERFLOW = 0x4000
_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK
#: struct inotify_event, without the name that no event of a file has: watch, mask, cookie, length.
_EVENT = struct.Struct("iIII")


class FileWatch:
    """Becomes readable when one of the watched files was written to, or was closed by one who could write to it.

    :raises OSError: if the user has too many watches.
    """

    def __init__(self) -> None:
        self._descriptor = called(libc().inotify_init1(_FLAGS))

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._descriptor

    def add(self, path: str) -> None:
        """Watch a file as well; nothing happens if it is watched.

        :raises OSError: if it is not there, or the user has too many watches.
        """
        called(libc().inotify_add_watch(self._descriptor, os.fsencode(path), IN_MODIFY | IN_CLOSE_WRITE), path)

    def drain(self) -> bool:
        """Forget what has happened so far, and tell whether a file may have been closed."""
        closed = False
        try:
            while events := os.read(self._descriptor, 65536):
                offset = 0
                while offset < len(events):
                    _, mask, _, length = _EVENT.unpack_from(events, offset)
                    closed = closed or bool(mask & (IN_CLOSE_WRITE | IN_Q_OVERFLOW))
                    offset += _EVENT.size + length
        except BlockingIOError:
            pass  # that was all
        return closed

    def close(self) -> None:
        """Stop watching."""
        os.close(self._descriptor)
