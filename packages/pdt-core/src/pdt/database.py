"""SQLite files that several threads and processes use at once."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from . import localfs
from .errors import BackendError

__all__ = ["Database"]

#: Seconds to wait for another process that is writing.
BUSY_TIMEOUT = 30.0
#: Connections inherited by a fork: closing them there would disturb the process that they belong to.
_inherited: list[sqlite3.Connection] = []


class Database:
    """One SQLite file, opened when it is first used and again after a fork.

    On a local file system it has a write-ahead log; on a network file system, where shared memory does not work, a
    rollback journal.

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
        self._pid = 0

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            local = localfs.is_local(self.path)
            connection.execute(f"PRAGMA journal_mode = {'wal' if local else 'delete'}")
            full = self._durable or not local
            connection.execute(f"PRAGMA synchronous = {'full' if full else 'normal'}")
            for statement in self._schema:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        self._connection, self._pid = connection, os.getpid()
        return connection

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        """Lock and open the file, and say what its errors mean."""
        if self._connection is not None and self._pid != os.getpid():
            _inherited.append(self._connection)
            self._connection, self._lock = None, threading.RLock()
        try:
            with self._lock:
                yield self._open()
        except sqlite3.OperationalError as error:
            raise BackendError(f"{self.path}: {error}", fix=_fix(error)) from error
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.IntegrityError):
                raise
            raise BackendError(
                f"{self.path}: {error}", fix="restore it from a copy, or remove it: its records are lost"
            ) from error

    def query(self, statement: str, *parameters: Any) -> list[Any]:
        """Execute one statement, which is its own transaction, and return its rows."""
        with self._use() as connection:
            return connection.execute(statement, parameters).fetchall()

    def change(self, statement: str, *parameters: Any) -> int:
        """Execute one statement, which is its own transaction, and return the number of changed rows."""
        with self._use() as connection:
            return connection.execute(statement, parameters).rowcount

    def change_many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Execute one statement for each of `rows`, all in one transaction."""
        with self._use() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(statement, rows)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None and self._pid == os.getpid():
                connection.close()

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
    return "check that its directory exists, that you own it and that its disk works"
