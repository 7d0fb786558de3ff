"""The lock of a pipeline's controllers: one that works alone, or any number that share the pipeline.

It is a lock of the process (fcntl(2), F_SETLK): free at the latest when the process is gone, however it ends, and never
inherited. A controller that works alone locks the whole file, one that shares the pipeline a single byte of it, far
beyond its end. The byte's number stands for the controller in what it claims: once it is gone, whoever locks its byte
takes that over.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from errno import EACCES, EAGAIN
from pathlib import Path
from typing import Any

from .errors import BackendError, HeldError
from .locks import FLOCK

__all__ = ["ControllerLock"]

#: The byte that stands for controllers that worked alone; those of the others follow.
FIRST_BYTE = 1 << 20
NUMBER_BITS = 48

#: The locked files, and the processes that locked them: the system's locks do not keep a process from itself.
_held: dict[tuple[int, int], int] = {}


class ControllerLock:
    """The lock of a pipeline's controller: held until it is released or the process is gone, however it ends.

    :param path: the file that is locked; it says who holds it alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        #: What stands for this controller among those that share the pipeline; 0 where it works alone.
        self.number = 0
        #: The numbers of the controllers whose claims this one looks after: its own, and those of some that are gone.
        self.numbers: set[int] = set()
        self._descriptor: int | None = None
        self._pid = 0

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock; a process that was forked since does not."""
        return self._descriptor is not None and self._pid == os.getpid()

    @property
    def is_shared(self) -> bool:
        """Whether this object holds the lock together with others."""
        return self.is_held and self.number > 0

    def acquire(self, *, shared: bool = False) -> None:
        """Take the lock, unless this object holds it.

        :param shared: whether others may hold it at the same time, if they share it as well.
        :raises HeldError: if another controller holds it, and one of the two does not share it.
        :raises BackendError: if it cannot be taken at all.
        """
        if self.is_held:
            return
        descriptor = self._open(shared)
        number = int.from_bytes(os.urandom(NUMBER_BITS // 8)) + 1 if shared else 0
        try:
            if not _lock(descriptor, number):
                raise self._held_by(*_holder(descriptor), shared)
        except OSError as error:
            os.close(descriptor)
            raise BackendError(f"cannot lock {self.path}: {error}", fix="put the store on a local disk") from error
        except HeldError:
            os.close(descriptor)
            raise
        if not shared:
            _sign(descriptor)
        self._descriptor, self._pid = descriptor, os.getpid()
        self.number, self.numbers = number, {number} if shared else set()
        _held[_identity(os.fstat(descriptor))] = os.getpid()

    def take(self, number: int) -> bool:
        """Become the one that looks after the claims of a controller, unless it is there, or somebody else does.

        :param number: of the controller; 0 for those that worked alone, and are gone as long as this lock is held.
        :raises OSError: if the file system has no locks any more.
        """
        if self._descriptor is None or not self.is_shared:
            return False
        if number not in self.numbers and _lock_byte(self._descriptor, number):
            self.numbers.add(number)
        return number in self.numbers

    def _open(self, shared: bool) -> int:
        """Open the file; not if this process has locked it, for closing it again would free the lock."""
        try:
            if _held.get(_identity(os.lstat(self.path))) == os.getpid():
                raise self._held_by("this process", shared, shared)
        except FileNotFoundError:
            pass  # it is made now
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise BackendError(
                f"cannot open the lock {self.path}: {error.strerror}",
                fix="check that it is a file of yours, or remove it if no controller runs",
            ) from error

    def _held_by(self, holder: str, is_shared: bool, wants_shared: bool) -> HeldError:
        """Return the error that says who holds the lock.

        :param is_shared: whether the holder shares it.
        :param wants_shared: whether this one would.
        """
        how, fix = "", "wait for it, stop it, start both with --shared, or give the pipelines different names"
        if is_shared and not wants_shared:
            how, fix = " and shares it", "join it with --shared, wait for it, or stop it"
        elif wants_shared and not is_shared:
            how, fix = " and does not share it", "wait for it, or stop it and start both with --shared"
        error = HeldError(f"another controller works on this pipeline{how}: {holder} (lock {self.path})", fix=fix)
        error.is_shared = is_shared
        return error

    def release(self) -> None:
        """Give the lock back, if this object holds it."""
        descriptor, self._descriptor = self._descriptor, None
        self.number, self.numbers = 0, set()
        if descriptor is not None:
            if self._pid == os.getpid():
                _held.pop(_identity(os.fstat(descriptor)), None)
            os.close(descriptor)

    def __del__(self) -> None:
        self.release()


def _lock(descriptor: int, number: int) -> bool:
    """Lock the file for a controller, and tell whether that was possible.

    :param number: of the controller; 0 for one that works alone.
    """
    if number:
        return _lock_byte(descriptor, number)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return _unless_held(error)
    return True


def _lock_byte(descriptor: int, number: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, FIRST_BYTE + number)
    except OSError as error:
        return _unless_held(error)
    return True


def _unless_held(error: OSError) -> bool:
    if error.errno in (EACCES, EAGAIN):
        return False
    raise error


def _sign(descriptor: int) -> None:
    """Say in the file who holds it alone."""
    state: dict[str, Any] = {"pid": os.getpid(), "host": os.uname().nodename, "since": time.time()}
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(state).encode(), 0)
    except OSError:
        pass  # the disk is full: the lock holds without its holder's name


def _holder(descriptor: int) -> tuple[str, bool]:
    """Return who holds the lock, and whether they share it."""
    answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    kind, _, start, _, pid = FLOCK.unpack(answer)
    if kind != fcntl.F_UNLCK and start >= FIRST_BYTE:
        # The kernel does not say the number of a process that this one cannot see.
        return f"process {pid} on {os.uname().nodename}" if pid > 0 else "a process in another container", True
    try:
        state = json.loads(os.pread(descriptor, 4096, 0))
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(state["since"]))
        return f"process {int(state['pid'])} on {state['host']}, since {since}", False
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return "a process that has just begun", False


def _identity(state: os.stat_result) -> tuple[int, int]:
    return (state.st_dev, state.st_ino)
