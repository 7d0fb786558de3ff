"""Where a pipeline keeps what it needs between runs."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from . import localfs
from .errors import BackendError, HeldError

if TYPE_CHECKING:
    from .ledger import Ledger

__all__ = ["Store", "local_state"]


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
