"""Locks on ranges of bytes of a file that say: who took this is still there.

They are Linux's open file description locks. Such a lock belongs to what `open` returned, not to a process: it is
free once the last descriptor of it is closed, in whichever process that is, and so at the latest when the last process
that inherited one has ended, however it ended. A process that opens the file on its own has nothing to do with it.

The bytes need not exist: a lock far beyond the end of a file leaves it as it is. Do not use a file that anything locks
by `fcntl.lockf`, as SQLite does with its own: closing *any* descriptor of it frees those locks.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

__all__ = ["is_range_locked", "lock_range", "unlock_range"]

#: struct flock: l_type, l_whence, l_start, l_len, l_pid, with the padding of this machine.
FLOCK = struct.Struct("hhqqi0q")


def lock_range(fd: int, start: int, length: int = 1) -> bool:
    """Lock bytes of a file for the open file description of `fd`, and tell whether nobody else had them.

    Does not wait. Bytes that this description has already stay its own.

    :param fd: open for writing; whoever inherits it, or a copy of it, keeps the lock.
    :param start: the first byte.
    :param length: how many bytes; 0 for all from `start` on.
    :raises OSError: if the file system has no locks.
    """
    try:
        _control(fd, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, start, length)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def unlock_range(fd: int, start: int, length: int = 1) -> None:
    """Free bytes that the open file description of `fd` has; nothing happens if it has not.

    They are free for every process that shares the description, so a job that inherited it loses them as well.

    :param fd: a descriptor of the file.
    :param start: the first byte.
    :param length: how many bytes; 0 for all from `start` on.
    """
    _control(fd, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, start, length)


def is_range_locked(path_or_fd: str | os.PathLike[str] | int, start: int, length: int = 1) -> bool:
    """Tell whether somebody else has one of these bytes, without taking them: any number may ask at once.

    A file that does not exist has no locks.

    :param path_or_fd: the file, or a descriptor of it; what its own description has locked does not count.
    :param start: the first byte.
    :param length: how many bytes; 0 for all from `start` on.
    :raises OSError: if the file cannot be opened, or its file system has no locks.
    """
    if isinstance(path_or_fd, int):
        return _control(path_or_fd, fcntl.F_OFD_GETLK, fcntl.F_WRLCK, start, length) != fcntl.F_UNLCK
    try:
        fd = os.open(path_or_fd, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return is_range_locked(fd, start, length)
    finally:
        os.close(fd)


def _control(fd: int, command: int, kind: int, start: int, length: int) -> int:
    """Return the kind of lock that the kernel reports in its answer."""
    answer = fcntl.fcntl(fd, command, FLOCK.pack(kind, os.SEEK_SET, start, length, 0))
    found: int = FLOCK.unpack(answer)[0]
    return found
