"""A ledger in a SQLite file, for the processes of one machine."""

from __future__ import annotations

import builtins
import os
from collections.abc import Mapping
from typing import Any

from .. import localfs
from ..database import Database
from ..localfs import call
from .base import Ledger, check_entry, dump_entry, load_entry

__all__ = ["SqliteLedger"]

SCHEMA = ("CREATE TABLE IF NOT EXISTS ledger (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",)


class SqliteLedger(Ledger):
    """Entries in a SQLite file, durable when `insert` returns.

    :param path: the file; made, with its directory, when it is first used.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._database = Database(path, SCHEMA, durable=True)
        self._inline = localfs.is_local(self._database.path)

    async def insert(self, key: str, value: Mapping[str, Any]) -> bool:
        """Write the entry if its key is free, and tell whether this call did."""
        statement = "INSERT INTO ledger (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING"
        entry = (check_entry(key), dump_entry(value))
        return await call(self._inline, self._database.change, statement, *entry) == 1

    async def get(self, key: str) -> dict[str, Any] | None:
        """Return the entry, or None if the key is free.

        :raises CorruptRecordError: if it is not what `insert` wrote.
        """
        query = "SELECT value FROM ledger WHERE key = ?"
        rows = await call(self._inline, self._database.query, query, check_entry(key))
        return load_entry(f"ledger {self._database.path!r}", key, rows[0][0]) if rows else None

    async def list(self, prefix: str = "") -> builtins.list[str]:
        """Return the keys that begin with `prefix`, sorted."""
        query = "SELECT key FROM ledger WHERE substr(key, 1, ?) = ? AND key >= ? ORDER BY key"
        rows = await call(self._inline, self._database.query, query, len(prefix), prefix, prefix)
        return [row[0] for row in rows]

    async def delete(self, key: str) -> bool:
        """Free the key, and tell whether this call did."""
        statement = "DELETE FROM ledger WHERE key = ?"
        return await call(self._inline, self._database.change, statement, check_entry(key)) == 1

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._database.close()
