"""What the workers of a pool and their controller tell each other of running bodies, in memory that they share."""

from __future__ import annotations

import mmap
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import BackendError

__all__ = ["Board", "Stopped", "attend", "stoppable"]

#: Calls that a pool has at once, waiting ones included.
PLACES = 4096
#: Each place: the process that runs the call, since when in nanoseconds, and whether it is to end.
FIELDS = 3
NUMBER = 8


class Stopped(SystemExit):
    """The controller has told the running body to end."""


class Board:
    """A place for each call that a pool has: its worker writes there that it runs, the controller that it is to end.

    :param places: how many there are.
    """

    def __init__(self, places: int = PLACES) -> None:
        import tempfile  # late: it is slow to import

        with tempfile.TemporaryFile(buffering=0) as file:
            file.truncate(places * FIELDS * NUMBER)
            self._open(os.dup(file.fileno()))
        self._free = list(range(places))

    def _open(self, fd: int) -> None:
        self._fd = fd
        self._numbers = memoryview(mmap.mmap(fd, 0)).cast("q")

    # It is sent to a worker that is started without a copy of this process.

    def __getstate__(self) -> Any:
        from multiprocessing.reduction import DupFd

        return DupFd(self._fd)

    def __setstate__(self, sent: Any) -> None:
        self._open(sent.detach())
        self._free = []

    def close(self) -> None:
        """Keep what is noted, and share it no longer."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._numbers = memoryview(bytearray(self._numbers)).cast("q")
            os.close(fd)

    # By the controller.

    def take(self) -> int:
        """Return a place for a call.

        :raises BackendError: if all are taken.
        """
        if not self._free:
            raise BackendError("the executor has as many jobs as it can take", fix="launch more when some have ended")
        place = self._free.pop()
        self._numbers[place * FIELDS] = self._numbers[place * FIELDS + 2] = 0
        return place

    def give_back(self, place: int) -> None:
        """Take back the place of a call that has ended."""
        self._free.append(place)

    def begun(self, place: int) -> tuple[int, float] | None:
        """Return the process that runs a call, and since when by the monotonic clock; None if none does yet."""
        pid = self._numbers[place * FIELDS]
        return (pid, self._numbers[place * FIELDS + 1] / 1e9) if pid else None

    def ask(self, place: int) -> None:
        """Have the worker of a call end it, when it begins or is sent SIGTERM."""
        self._numbers[place * FIELDS + 2] = 1

    # By a worker.

    def begin(self, place: int) -> None:
        """Note that this process begins with a call."""
        self._numbers[place * FIELDS + 1] = time.monotonic_ns()
        self._numbers[place * FIELDS] = os.getpid()

    def is_asked(self, place: int) -> bool:
        """Tell whether a call is to end."""
        return bool(self._numbers[place * FIELDS + 2])


class _Worker:
    """What this process, if it is a worker, knows of itself."""

    board: Board | None = None
    #: Of the call whose body runs.
    place: int | None = None


def attend(board: Board) -> None:
    """Have SIGTERM end the running body of this worker, if the controller wants that; called when it starts.

    Where the pool's own initializer has set another handler, that is left to do it.
    """
    _Worker.board = board
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_term)


def _on_term(number: int, frame: object) -> None:
    _check()
    # It is meant for the worker.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def _check() -> None:
    """End the running body if it is to end.

    :raises Stopped: if so.
    """
    board, place = _Worker.board, _Worker.place
    if board is not None and place is not None and board.is_asked(place):
        raise Stopped("the controller has told it to end")


@contextmanager
def stoppable(place: int | None) -> Iterator[None]:
    """Have the controller know what runs, and able to end it, while the block runs.

    :param place: of the call; None where it cannot be ended.
    :raises Stopped: if it is to end.
    """
    if place is None or _Worker.board is None:
        yield
        return
    _Worker.board.begin(place)
    _Worker.place = place
    try:
        _check()
        yield
    finally:
        _Worker.place = None
