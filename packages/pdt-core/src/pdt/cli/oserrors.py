"""What the system's errors mean to a person: what was being done, what went wrong, and how to mend it."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import BackendError

__all__ = ["doing", "explained", "fix_of", "fix_of_text", "reason_of"]

PERMISSION = "check the owner and the mode of it, and of the directories above it"
NO_SPACE = "make room on that disk, or use another"
NO_DIRECTORY = "a file is where a directory should be: move it away, or name another directory"
NO_ANSWER = "check that the server is up and can be reached"
OTHERWISE = "check that the store can be reached and that its class works, then try again"
FIXES = {
    errno.EACCES: PERMISSION,
    errno.EPERM: PERMISSION,
    errno.EROFS: "it lies on a file system that is mounted read-only: mount it writable, or use another place",
    errno.ENOSPC: NO_SPACE,
    errno.EDQUOT: NO_SPACE,
    errno.EEXIST: NO_DIRECTORY,
    errno.ENOTDIR: NO_DIRECTORY,
    errno.EISDIR: "a directory is where a file should be: move it away, or name another file",
    errno.ENOENT: "check that the name is right, and that nobody has removed it",
    errno.EMFILE: "let the process open more files: ulimit -n",
    errno.ENFILE: "close programs that have many files open",
    errno.EIO: "check the disk: the system's log says more",
    errno.ECONNREFUSED: NO_ANSWER,
    errno.EHOSTUNREACH: NO_ANSWER,
    errno.ETIMEDOUT: NO_ANSWER,
}
NUMBER = re.compile(r"\[Errno (\d+)\]")


def reason_of(error: OSError) -> str:
    """Return what the system says, and of which file."""
    if error.strerror is None:
        return " ".join(f"{type(error).__name__}: {error}".split())
    return f"{error.strerror}: {error.filename}" if error.filename else error.strerror


def fix_of(error: OSError) -> str:
    """Return what can be done about an error of the system."""
    if isinstance(error, ConnectionError | TimeoutError):
        return NO_ANSWER
    return FIXES.get(error.errno or 0, OTHERWISE)


def fix_of_text(text: str) -> str:
    """Return what can be done about an error of the system that is known by its text only."""
    found = NUMBER.search(text)
    return FIXES.get(int(found[1]), OTHERWISE) if found else OTHERWISE


def explained(what: str, error: OSError) -> BackendError:
    """Return an error of the system as one of pdt's.

    :param what: what was being done, as in "reading x".
    """
    return BackendError(f"{what} failed: {reason_of(error)}", fix=fix_of(error))


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Say what was being done where the block raises an error of the system.

    :param what: as in "reading x".
    :raises BackendError: in place of OSError.
    """
    try:
        yield
    except OSError as error:
        raise explained(what, error) from error
