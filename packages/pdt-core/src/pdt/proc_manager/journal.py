"""One file for many attempts: while an attempt runs it holds a lock there, and at its end it leaves a line.

The lock is on a byte far beyond the end of the file, taken by the controller before it starts the attempt and inherited
by everything that the attempt starts: it is free when the last of them is gone, whoever else was killed. A line is

    TOKEN start PID             written by the wrapper, before the script begins
    TOKEN kill REASON DEADLINE  written by a controller, before the first signal; the deadline is in milliseconds
                                since the boot, when what is left is killed without asking
    TOKEN exit CODE             written by the wrapper, when the script has ended
    TOKEN settled               written by a controller: nobody needs the others any more
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from typing import Self
from weakref import WeakSet

from .. import localfs
from ..errors import BackendError
from ..failpoints import hit
from ..locks import is_range_locked, lock_range
from .native import reserve

__all__ = ["ROTATION_SIZE", "Journal", "Trace", "abandoned"]

#: Bytes after which a journal is left to the attempts that are in it, and a new one is begun.
ROTATION_SIZE = 1 << 18
#: Bytes that a journal is given before it is used: an attempt's end finds room on a full disk as well.
RESERVED_SIZE = ROTATION_SIZE + (1 << 17)
#: The byte that the controller locks which writes to the journal; those of its attempts follow.
FIRST_BYTE = 1 << 40
#: Bytes of a line that are read at most: a script may write anything to what it inherits.
LONGEST_LINE = 256
BLOCK = 1 << 16
#: What a script has written before it, without a line end, is passed over.
_LINE = re.compile(rb"([0-9a-f]{32}) (?:(start|exit) ([0-9]{1,10})|(kill) ([a-z]{1,20}) ([0-9]{1,18})|(settled))$")


@dataclass
class Trace:
    """What a journal says of one attempt.

    :param pid: of the wrapper.
    :param killed: why a controller had it killed.
    :param deadline: when what is left of it is killed without asking, in milliseconds since the boot.
    :param code: what the script returned.
    :param settled: whether nobody needs to know any more.
    """

    pid: int | None = None
    killed: str | None = None
    deadline: int = 0
    code: int | None = None
    settled: bool = False


class Journal:
    """A journal that is open.

    :param path: the file.
    :param descriptor: of the file, open for appending.
    :param is_own: whether this controller writes to it, and has its lock.
    """

    def __init__(self, path: str, descriptor: int, *, is_own: bool) -> None:
        self.path = path
        self.is_own = is_own
        #: By token, what it says of attempts that somebody here asks for, or that are not settled.
        self.traces: dict[str, Trace] = {}
        #: Attempts that this controller has to settle.
        self.unsettled: set[str] = set()
        self._descriptor = descriptor
        state = os.fstat(descriptor)
        self._identity = state.st_dev, state.st_ino
        self._read = 0
        self._partial = b""
        self._next = 0
        _open_journals.add(self)

    @classmethod
    def create(cls, path: str) -> Self:
        """Make a new journal, to which this controller writes.

        :raises OSError: if it cannot be made, or locked.
        """
        # It has no name that others look at before it is locked: they would take it for abandoned.
        temporary = localfs.temporary_path(os.path.dirname(path))
        descriptor = _open(temporary, os.O_CREAT | os.O_EXCL)
        try:
            hit("journal.before_lock")
            lock_range(descriptor, FIRST_BYTE)
            _reserve(descriptor)
            os.rename(temporary, path)
        except BaseException:
            os.close(descriptor)
            os.unlink(temporary)
            raise
        return cls(path, descriptor, is_own=True)

    @classmethod
    def open(cls, path: str) -> Self:
        """Open the journal of another controller.

        :raises FileNotFoundError: if there is none.
        """
        return cls(path, _open(path, 0), is_own=False)

    @property
    def is_full(self) -> bool:
        """Whether no further attempts should be noted here."""
        return self._read > ROTATION_SIZE

    def next_number(self) -> int:
        """Return the number of the next attempt."""
        self._next += 1
        return self._next

    def lock(self, number: int) -> int:
        """Lock the byte of an attempt and return the descriptor that holds it, for the attempt to inherit.

        :raises BackendError: if the journal is no longer where the next controller would look for it.
        :raises OSError: if it cannot be locked.
        """
        try:
            descriptor = _open(self.path, 0)
        except (FileNotFoundError, NotADirectoryError):
            raise self._replaced() from None
        try:
            state = os.fstat(descriptor)
            if (state.st_dev, state.st_ino) != self._identity:
                raise self._replaced()
            if not lock_range(descriptor, FIRST_BYTE + number):
                raise BlockingIOError(f"attempt {number} of {self.path} is locked already")
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _replaced(self) -> BackendError:
        return BackendError(
            f"the journal {self.path} was removed or replaced while it was in use",
            fix="leave the directory of a process manager alone while pdt runs; what is started next makes it anew",
        )

    def is_locked(self, number: int) -> bool:
        """Tell whether an attempt holds its lock."""
        return is_range_locked(self._descriptor, FIRST_BYTE + number)

    def write(self, *lines: str) -> None:
        """Add lines."""
        localfs.write_all(self._descriptor, "".join(f"{line}\n" for line in lines).encode())

    def read(self) -> set[str]:
        """Read what was added since the last call, and return whose it is; a line without its end is none."""
        tokens = set()
        block = b"\0" * BLOCK
        while len(block) == BLOCK:
            block = os.pread(self._descriptor, BLOCK, self._read)
            self._read += len(block)
            lines = (self._partial + block).split(b"\n")
            self._partial = lines.pop()[-LONGEST_LINE:]
            for line in lines:
                found = _LINE.search(line[-LONGEST_LINE:])
                if found is not None:
                    token = found[1].decode()
                    _note(self.traces.setdefault(token, Trace()), found)
                    tokens.add(token)
        return tokens

    def trace(self, token: str) -> Trace:
        """Return what it says of an attempt, now and later."""
        return self.traces.setdefault(token, Trace())

    def close(self) -> None:
        """Close the file; attempts keep their locks."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


_open_journals: WeakSet[Journal] = WeakSet()


def _close_in_child() -> None:
    """Let a forked worker hold no lock of its parent's."""
    for journal in list(_open_journals):
        journal.close()


os.register_at_fork(after_in_child=_close_in_child)


def _open(path: str, flags: int) -> int:
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)


def _reserve(descriptor: int) -> None:
    try:
        reserve(descriptor, RESERVED_SIZE)
    except OSError as error:
        if error.errno in (ENOSPC, EDQUOT):
            raise


def _note(trace: Trace, found: re.Match[bytes]) -> None:
    # The first of each is the wrapper's, or the controller's: what a script adds cannot take it back.
    if found[2] == b"start":
        trace.pid = int(found[3]) if trace.pid is None else trace.pid
    elif found[2] == b"exit":
        trace.code = int(found[3]) if trace.code is None else trace.code
    elif found[4]:
        if trace.killed is None:
            trace.killed, trace.deadline = found[5].decode(), int(found[6])
    else:
        trace.settled = True


def abandoned(path: str) -> bool:
    """Tell whether a journal is nobody's: its controller is gone, and all of its attempts are settled."""
    try:
        if is_range_locked(path, FIRST_BYTE, 0):
            return False
        journal = Journal.open(path)
    except OSError:
        return False
    try:
        journal.read()
    finally:
        journal.close()
    return all(trace.settled for trace in journal.traces.values() if trace.pid is not None)
