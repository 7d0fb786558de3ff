"""SQLite files that several threads and processes use at once."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import WeakSet

from . import localfs
from .errors import BackendError

__all__ = ["Database"]

T = TypeVar("T")

#: Seconds to wait for another process that is writing.
BUSY_TIMEOUT = 30.0
#: Seconds between two tries where SQLite does not wait by itself, as when the write-ahead log is set up.
BUSY_PAUSE = 0.005
#: Connections inherited by a fork: closing them there would disturb the process that they belong to.
_inherited: list[sqlite3.Connection] = []


class Database:
    """One SQLite file, opened when it is first used and again after a fork.

    On a local file system it has a write-ahead log; on a network file system, where shared memory does not work,
    a rollback journal.

    :param path: the file; made, with its directory, when it is first used.
    :param schema: statements that make what is missing.
    :param durable: whether a commit survives a power cut, rather than only the end of the process.
    """

    def __init__(self, path: str | os.PathLike[str], schema: Iterable[str], *, durable: bool = False) -> None:
        self.path = os.path.abspath(path)
        self._schema = tuple(schema)
        self._durable = durable
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._opened = 0
        self._pid = os.getpid()
        _databases.add(self)

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=64,
        )
        try:
            local = localfs.is_local(self.path)
            full = self._durable or not local
            settings = (
                f"PRAGMA journal_mode = {'wal' if local else 'delete'}",
                f"PRAGMA synchronous = {'full' if full else 'normal'}",
            )
            for statement in (*settings, *self._schema):
                _patiently(connection.execute, statement)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._opened += 1
        return connection

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        """Lock and open the file, and say what its errors mean."""
        if self._pid != os.getpid():
            self._forget()
        try:
            with self._lock:
                yield self._open()
        except OSError as error:
            raise BackendError(f"{self.path}: {error.strerror}", fix=_FIX) from error
        except sqlite3.OperationalError as error:
            raise BackendError(f"{self.path}: {error}", fix=_fix(error)) from error
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
                raise
            raise BackendError(
                f"{self.path}: {error}", fix="restore it from a copy, or remove it: its records are lost"
            ) from error

    def query(self, statement: str, *parameters: Any) -> list[Any]:
        """Execute one statement, which is its own transaction, and return its rows."""
        with self._use() as connection:
            rows: list[Any] = _patiently(connection.execute, statement, parameters).fetchall()
            return rows

    def version(self) -> tuple[int, int, int]:
        """Return what changes with every commit to the file, by whomever."""
        with self._use() as connection:
            [(by_others,)] = connection.execute("PRAGMA data_version").fetchall()
            return (self._opened, by_others, connection.total_changes)

    def change(self, statement: str, *parameters: Any) -> int:
        """Execute one statement, which is its own transaction, and return the number of changed rows."""
        with self._use() as connection:
            return _patiently(connection.execute, statement, parameters).rowcount

    def change_many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Execute one statement for each of `rows`, all in one transaction."""
        with self._transaction() as connection:
            connection.executemany(statement, rows)

    def change_each(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> list[int]:
        """Execute one statement for each of `rows`, all in one transaction, and return the numbers of changed rows."""
        with self._transaction() as connection:
            return [connection.execute(statement, row).rowcount for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._use() as connection:
            _patiently(connection.execute, "BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        if self._pid != os.getpid():
            self._forget()
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _forget(self) -> None:
        """Begin anew in a process that was forked: what it inherited is not its own."""
        if self._connection is not None:
            _inherited.append(self._connection)
        self._connection, self._lock, self._pid = None, threading.RLock(), os.getpid()

    def pause(self) -> None:
        """Close the connection and keep it closed until `resume`; for a fork."""
        self._lock.acquire()
        self.close()

    def resume(self) -> None:
        """Let the connection be opened again."""
        self._lock.release()

    def __getstate__(self) -> tuple[str, tuple[str, ...], bool]:
        return (self.path, self._schema, self._durable)

    def __setstate__(self, state: tuple[str, tuple[str, ...], bool]) -> None:
        path, schema, durable = state
        self.__init__(path, schema, durable=durable)  # type: ignore[misc]

    def __del__(self) -> None:
        connection = getattr(self, "_connection", None)
        if connection is not None:
            if self._pid == os.getpid():
                connection.close()
            else:
                _inherited.append(connection)


def _fix(error: sqlite3.OperationalError) -> str:
    text = str(error)
    if "locked" in text or "busy" in text:
        return f"another process has been writing for {BUSY_TIMEOUT:g} s; wait for it, or end it"
    if "full" in text:
        return "free some space on its disk"
    return _FIX


_FIX = "check that its directory exists, that you own it and that its disk works"


def _patiently(execute: Callable[..., T], *arguments: Any) -> T:
    """Return execute(*arguments), tried again where SQLite says that the file is busy without having waited."""
    give_up = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            return execute(*arguments)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(BUSY_PAUSE)


# SQLite keeps what it knows of a file's locks in memory, and the locks in the process: after a fork the child would
# believe in locks that it does not have. So no connection is open across one.
_databases: WeakSet[Database] = WeakSet()
_paused: list[Database] = []


def _before_fork() -> None:
    for database in list(_databases):
        database.pause()
        _paused.append(database)


def _after_fork_in_parent() -> None:
    while _paused:
        _paused.pop().resume()


def _after_fork_in_child() -> None:
    while _paused:
        _paused.pop()._forget()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
