"""A ledger in a SQLite file, for the processes of one machine."""

from __future__ import annotations

import builtins
import os
from collections.abc import Iterable, Mapping
from typing import Any

from .. import localfs
from ..database import Database
from ..localfs import call
from .base import Ledger, check_entry, dump_entry, load_entry

__all__ = ["SqliteLedger"]

SCHEMA = ("CREATE TABLE IF NOT EXISTS ledger (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",)

INSERT = "INSERT INTO ledger (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING"


class SqliteLedger(Ledger):
    """Entries in a SQLite file.

    :param path: the file; made, with its directory, when it is first used.
    :param durable: whether what `insert` has returned survives a power cut, rather than only the end of the process.
    """

    def __init__(self, path: str | os.PathLike[str], *, durable: bool = True) -> None:
        self._database = Database(path, SCHEMA, durable=durable)
        self._inline = localfs.is_local(self._database.path)

    async def insert(self, key: str, value: Mapping[str, Any]) -> bool:
        """Write the entry if its key is free, and tell whether this call did."""
        entry = (check_entry(key), dump_entry(value))
        return await call(self._inline, self._database.change, INSERT, *entry) == 1

    async def insert_all(self, entries: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """Write the entries whose keys are free, in one transaction, and return their keys."""
        rows = [(check_entry(key), dump_entry(value)) for key, value in entries.items()]
        counts = await call(self._inline, self._database.change_each, INSERT, rows)
        return {row[0] for row, count in zip(rows, counts, strict=True) if count}

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

    async def items(self, prefix: str = "") -> dict[str, dict[str, Any]]:
        """Return the entries whose keys begin with `prefix`.

        :raises CorruptRecordError: if one is not what `insert` wrote.
        """
        query = "SELECT key, value FROM ledger WHERE substr(key, 1, ?) = ? AND key >= ? ORDER BY key"
        rows = await call(self._inline, self._database.query, query, len(prefix), prefix, prefix)
        return {key: load_entry(f"ledger {self._database.path!r}", key, value) for key, value in rows}

    async def delete_all(self, keys: Iterable[str]) -> None:
        """Free the keys, in one transaction."""
        rows = [(check_entry(key),) for key in keys]
        if rows:
            await call(self._inline, self._database.change_many, "DELETE FROM ledger WHERE key = ?", rows)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._database.close()
