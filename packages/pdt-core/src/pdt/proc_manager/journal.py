"""One file for many attempts: while an attempt runs it holds a lock there, and at its end it leaves a line.

The lock is on a byte far beyond the end of the file, taken by the controller before it starts the attempt and inherited
by everything that the attempt starts: it is free when the last of them is gone, whoever else was killed. A line is

    TOKEN start PID    written by the wrapper, before the script begins
    TOKEN kill REASON  written by a controller, before the first signal
    TOKEN exit CODE    written by the wrapper, when the script has ended
    TOKEN settled      written by a controller: nobody needs the others any more
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from weakref import WeakSet

from .. import localfs
from ..failpoints import hit
from ..locks import is_range_locked, lock_range

__all__ = ["Journal", "Trace", "abandoned"]

#: The byte that the controller locks which writes to the journal; those of its attempts follow.
FIRST_BYTE = 1 << 40
#: Bytes of a line that are read at most: a script may write anything to what it inherits.
LONGEST_LINE = 256
BLOCK = 1 << 16
#: What a script has written before it, without a line end, is passed over.
_LINE = re.compile(rb"([0-9a-f]{32}) (?:(start|exit) ([0-9]{1,10})|(kill) ([a-z]{1,20})|(settled))$")


@dataclass
class Trace:
    """What a journal says of one attempt."""

    pid: int | None = None
    killed: str | None = None
    code: int | None = None
    settled: bool = False


class Journal:
    """The journal at `path`.

    :param path: the file.
    :param create: whether it is a new one, to which this controller writes.
    """

    def __init__(self, path: str, *, create: bool = False) -> None:
        self.path = path
        self._read = 0
        self._partial = b""
        self._next = 0
        self._descriptor = -1
        if create:
            self._descriptor = self._open(os.O_CREAT | os.O_EXCL)
            hit("journal.before_lock")
            lock_range(self._descriptor, FIRST_BYTE)
        else:
            self._descriptor = self._open(0)
        _open_journals.add(self)

    def _open(self, flags: int) -> int:
        return os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)

    @property
    def size(self) -> int:
        """Bytes read so far."""
        return self._read

    def next_number(self) -> int:
        """Return the number of the next attempt."""
        self._next += 1
        return self._next

    def lock(self, number: int) -> int:
        """Lock the byte of an attempt and return the descriptor that holds it, for the attempt to inherit.

        :raises OSError: if it cannot be locked.
        """
        descriptor = self._open(0)
        if not lock_range(descriptor, FIRST_BYTE + number):
            os.close(descriptor)
            raise BlockingIOError(f"attempt {number} of {self.path} is locked already")
        return descriptor

    def is_locked(self, number: int) -> bool:
        """Tell whether an attempt holds its lock."""
        return is_range_locked(self._descriptor, FIRST_BYTE + number)

    def write(self, *lines: str) -> None:
        """Add lines."""
        localfs.write_all(self._descriptor, "".join(f"{line}\n" for line in lines).encode())

    def read(self, traces: dict[str, Trace]) -> None:
        """Take what was added since the last call into `traces`, by token; a line without its end is none."""
        while block := os.pread(self._descriptor, BLOCK, self._read):
            self._read += len(block)
            lines = (self._partial + block).split(b"\n")
            self._partial = lines.pop()[-LONGEST_LINE:]
            for line in lines:
                found = _LINE.search(line[-LONGEST_LINE:])
                if found is not None:
                    _note(traces.setdefault(found[1].decode(), Trace()), found)

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


def _note(trace: Trace, found: re.Match[bytes]) -> None:
    if found[2] == b"start":
        trace.pid = int(found[3])
    elif found[2] == b"exit":
        # The first is the wrapper's: what the script left behind cannot take it back.
        trace.code = int(found[3]) if trace.code is None else trace.code
    elif found[4]:
        trace.killed = trace.killed or found[5].decode()
    else:
        trace.settled = True


def abandoned(path: str) -> bool:
    """Tell whether a journal is nobody's: its controller is gone, and all of its attempts are settled."""
    try:
        if is_range_locked(path, FIRST_BYTE, 0):
            return False
        journal = Journal(path)
    except OSError:
        return False
    traces: dict[str, Trace] = {}
    try:
        journal.read(traces)
    finally:
        journal.close()
    return all(trace.settled for trace in traces.values() if trace.pid is not None)
