"""Where a pipeline keeps what it needs between runs, and the lock that makes its controller the only one."""

from __future__ import annotations

import fcntl
import json
import os
import time
from errno import EACCES, EAGAIN
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import localfs
from .errors import BackendError, HeldError

if TYPE_CHECKING:
    from .ledger import Ledger

__all__ = ["ControllerLock", "Store", "local_state"]

#: The locked files, and the processes that locked them: the system's locks do not keep a process from itself.
_held: dict[tuple[int, int], int] = {}


class Store:
    """A directory for records, attempts, claims and locks.

    :param path: the directory; made when it is first needed, with a .gitignore of its own.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.abspath(path))

    def make(self) -> Path:
        """Make the directory if it is missing, and return its path."""
        self.path.mkdir(parents=True, exist_ok=True)
        ignore = self.path / ".gitignore"
        if not ignore.exists():
            localfs.put_bytes(os.fspath(ignore), b"# what pdt keeps between runs\n*\n")
        return self.path

    def lock_path(self, name: str) -> Path:
        """Return the file whose lock makes a controller the only one of pipeline `name`; always on a local disk."""
        if localfs.is_local(self.path) and _can_lock(self.make()):
            return self.path / f"{name}.lock"
        return local_state("locks") / f"{localfs.boot_id()[:8]}-{self._digest()}-{name}.lock"

    def _digest(self) -> str:
        import hashlib

        return hashlib.sha256(os.fsencode(os.path.realpath(self.path))).hexdigest()[:16]

    def ledger(self) -> Ledger:
        """Return the ledger of attempts; on a local disk always, and not synced, since no attempt outlives a boot."""
        from .ledger import SqliteLedger

        if localfs.is_local(self.path):
            self.make()
        return SqliteLedger(self._ledger_path(), durable=False)

    def has_ledger(self) -> bool:
        """Tell whether there is a ledger; nothing is made in the store to find out."""
        return self._ledger_path().exists()

    def _ledger_path(self) -> Path:
        if localfs.is_local(self.path):
            return self.path / "attempts.sqlite"
        return local_state("ledgers") / f"{self._digest()}.sqlite"

    def claim_host(self) -> None:
        """Make this machine the one whose controllers use the store, where it lies on a network file system.

        :raises HeldError: if another machine's do.
        """
        if localfs.is_local(self.path):
            return
        mine = {"host": _host(), "machine": _machine_id()}
        owner = self.make() / "host.json"
        localfs.insert_bytes(os.fspath(owner), json.dumps(mine).encode())
        fix = f"run pdt there, or remove {owner} once no controller runs there any more"
        try:
            theirs = json.loads(owner.read_bytes())
            host, machine = theirs["host"], theirs["machine"]
        except (ValueError, KeyError, TypeError) as error:
            raise HeldError(f"{owner} does not say which host uses the store: {error}", fix=fix) from error
        if machine != mine["machine"]:
            raise HeldError(
                f"the store {self.path} lies on a network file system and is used by host {host!r}", fix=fix
            )

    def __repr__(self) -> str:
        return f"Store({os.fspath(self.path)!r})"


def local_state(name: str) -> Path:
    """Return a directory of this user's on a disk of this machine, for locks and journals; made if it is missing.

    :raises BackendError: if there is none.
    """
    from platformdirs import user_state_path

    places = [user_state_path("pdt"), Path(f"/var/tmp/pdt-{os.geteuid()}")]  # noqa: S108  what is made there is checked to be ours
    for place in places:
        directory = place / name
        if localfs.is_local(_existing(place)):
            localfs.make_private(os.fspath(directory))
            if _can_lock(directory):
                return directory
    raise BackendError(
        f"neither {places[0]} nor {places[1]} lies on a local disk with working locks",
        fix="set XDG_STATE_HOME to a directory on one",
    )


def _existing(path: Path) -> str:
    """Return the nearest directory that exists."""
    return os.fspath(next(part for part in (path, *path.parents) if part.exists()))


def _host() -> str:
    return os.uname().nodename


def _machine_id() -> str:
    try:
        return Path("/etc/machine-id").read_text().strip() or _host()
    except OSError:
        return _host()


def _can_lock(directory: Path) -> bool:
    """Tell whether locks work in `directory`, by taking one."""
    probe = Path(localfs.temporary_path(os.fspath(directory)))
    try:
        with probe.open("wb") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)
    return True


class ControllerLock:
    """The lock of a pipeline's controller: held until it is released or the process is gone, however it ends.

    :param path: the file that is locked; it says who holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._pid = 0

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock; a process that was forked since does not."""
        return self._descriptor is not None and self._pid == os.getpid()

    def acquire(self) -> None:
        """Take the lock, unless this object holds it.

        :raises HeldError: if another controller holds it.
        :raises BackendError: if it cannot be taken at all.
        """
        if self.is_held:
            return
        descriptor = self._open()
        try:
            # A lock of the process, not of the descriptor: no child inherits it.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = self._holder(descriptor)
            os.close(descriptor)
            if error.errno in (EACCES, EAGAIN):
                raise self._held_by(holder) from None
            raise BackendError(f"cannot lock {self.path}: {error}", fix="put the store on a local disk") from error
        state: dict[str, Any] = {"pid": os.getpid(), "host": _host(), "since": time.time()}
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(state).encode(), 0)
        except OSError:
            pass  # the disk is full: the lock holds without its holder's name
        self._descriptor, self._pid = descriptor, os.getpid()
        _held[_identity(os.fstat(descriptor))] = os.getpid()

    def _open(self) -> int:
        """Open the file; not if this process has locked it, for closing it again would free the lock."""
        try:
            if _held.get(_identity(os.lstat(self.path))) == os.getpid():
                raise self._held_by("this process")
        except FileNotFoundError:
            pass  # it is made now
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise BackendError(
                f"cannot open the lock {self.path}: {error.strerror}",
                fix="check that it is a file of yours, or remove it if no controller runs",
            ) from error

    def _held_by(self, holder: str) -> HeldError:
        return HeldError(
            f"another controller works on this pipeline: {holder} (lock {self.path})",
            fix="wait for it, stop it, or give the pipelines different names",
        )

    @staticmethod
    def _holder(descriptor: int) -> str:
        try:
            state = json.loads(os.pread(descriptor, 4096, 0))
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(state["since"]))
            return f"process {int(state['pid'])} on {state['host']}, since {since}"
        except (ValueError, KeyError, TypeError, OverflowError, OSError):
            return "a process that has just begun"

    def release(self) -> None:
        """Give the lock back, if this object holds it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            if self._pid == os.getpid():
                _held.pop(_identity(os.fstat(descriptor)), None)
            os.close(descriptor)

    def __del__(self) -> None:
        self.release()


def _identity(state: os.stat_result) -> tuple[int, int]:
    return (state.st_dev, state.st_ino)
