"""Records in one SQLite file: the embedded default."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Collection, Hashable, Mapping, Set
from functools import cached_property
from typing import Any

from .. import localfs
from ..database import Database
from ..errors import CorruptRecordError
from ..localfs import call
from ..plain import dumps, dumps_flat, is_flat, loads
from .base import MetadataRepository, Use

__all__ = ["SqliteMetadataRepository"]

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS records (name TEXT NOT NULL, job TEXT NOT NULL, data TEXT NOT NULL)",
    "CREATE UNIQUE INDEX IF NOT EXISTS records_by_job ON records (name, job)",
)
UPSERT = """
INSERT INTO records (name, job, data) VALUES (?, ?, ?)
ON CONFLICT (name, job) DO UPDATE SET data = excluded.data
"""
#: "WHERE true" tells ON CONFLICT from a join's ON.
UPSERT_ALL = """
INSERT INTO records (name, job, data) SELECT ?, key, value FROM json_each(?) WHERE true
ON CONFLICT (name, job) DO UPDATE SET data = excluded.data
"""


class SqliteMetadataRepository(MetadataRepository):
    """Structured values in a SQLite file, which many repositories and several processes may share.

    :param path: the file; made, with its directory, when it is first used.
    :param name: tells this repository's records from the others of the file.
    """

    def __init__(self, path: str | os.PathLike[str], name: str) -> None:
        given: object = name
        if not (isinstance(given, str) and given):
            raise ValueError(f"name {name!r} is not a text of at least one character")
        self.path = os.path.abspath(path)
        self.name = name
        self._database = Database(self.path, SCHEMA)
        self._durable = Database(self.path, SCHEMA, durable=True)
        self._use: Use = "write"

    @cached_property
    def inline(self) -> bool:  # type: ignore[override]
        """Whether the file lies on a local file system."""
        return localfs.is_local(self.path)

    def expect(self, use: Use) -> None:
        """Learn what the pipeline does with it: where it only looks, no file is made."""
        self._use = use

    @property
    def _is_missing(self) -> bool:
        """Whether there is no file yet, and none is to be made."""
        if self._use != "look":
            return False
        try:
            os.stat(self.path)
        except FileNotFoundError:
            return True
        except OSError:
            return False  # opening it says why it cannot be used
        return False

    def _query(self, query: str, *parameters: Any) -> list[Any]:
        return [] if self._is_missing else self._database.query(query, *parameters)

    async def validate(self) -> None:
        """Make the file if it is missing.

        :raises BackendError: if it cannot be used.
        """
        if self._use != "look":
            await call(self.inline, self._query, "SELECT 1 FROM records LIMIT 1")

    async def contains(self, item: str) -> bool:
        """Tell whether there is a record of the job."""
        query = "SELECT 1 FROM records WHERE name = ? AND job = ?"
        return self.job_ids.accepts(item) and bool(await call(self.inline, self._query, query, self.name, item))

    async def present(self, jobs: Collection[str]) -> set[str]:
        """Return those of `jobs` that have a record."""
        wanted = [job for job in jobs if self.job_ids.accepts(job)]
        if not wanted:
            return set()
        query = "SELECT job FROM records WHERE name = ? AND job IN (SELECT value FROM json_each(?))"
        rows = await call(self.inline, self._query, query, self.name, json.dumps(wanted))
        return {row[0] for row in rows}

    async def keys(self) -> Set[str]:
        """Return the job of every record."""
        # One long text is read faster than a row per job.
        query = "SELECT count(*), group_concat(job, char(10)) FROM records WHERE name = ?"
        [(count, text)] = await call(self.inline, self._query, query, self.name) or [(0, None)]
        keys = set(text.split("\n")) if count else set()
        if len(keys) != count:  # a stranger's job has a line end in it
            query = "SELECT job FROM records WHERE name = ?"
            keys = {job for (job,) in await call(self.inline, self._query, query, self.name)}
        return keys

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        """Yield the job of every record."""
        for key in await self.keys():
            yield key

    async def info(self, job: str) -> Any:
        """Return the data of `job`, or {} if there is none.

        :raises CorruptRecordError: if the record cannot be read.
        """
        query = "SELECT data FROM records WHERE name = ? AND job = ?"
        rows = await call(self.inline, self._query, query, self.name, self.job_ids.check(job))
        return self._load(job, rows[0][0]) if rows else {}

    def _load(self, job: str, text: str) -> Any:
        try:
            return loads(text)
        except (ValueError, TypeError) as error:
            raise CorruptRecordError(repr(self), job, str(error)) from error

    async def items(self) -> Mapping[str, Any]:
        """Return every job's data; for a record that cannot be read its error."""
        infos: dict[str, Any] = {}
        rows = await call(self.inline, self._query, "SELECT job, data FROM records WHERE name = ?", self.name)
        for job, text in rows:
            try:
                infos[job] = self._load(job, text)
            except CorruptRecordError as error:
                infos[job] = error
        if not self.job_ids.accepts_all(infos):
            strange = [job for job in infos if not self.job_ids.accepts(job)]
            self.report_skipped(strange)
            for job in strange:
                del infos[job]
        return infos

    async def info_all(self) -> dict[str, Any]:
        """Return every job's data.

        :raises CorruptRecordError: if any record cannot be read.
        """
        infos = await self.items()
        for info in infos.values():
            if isinstance(info, CorruptRecordError):
                raise info
        return dict(infos)

    async def dump(self, job: str, data: Any) -> None:
        """Store `data` for `job`.

        :raises TypeError: if it is not plain data.
        """
        row = (self.name, self.job_ids.check(job), dumps(data))
        await call(self.inline, self._database.change, UPSERT, *row)

    async def dump_all(self, records: Mapping[str, Any]) -> None:
        """Store many records in one transaction."""
        await call(self.inline, self.dump_durably, records, False)

    def dump_durably(self, records: Mapping[str, Any], durable: bool = True) -> None:
        """Store many records in one transaction that survives a power cut; blocks, so call it in a thread."""
        if not self.job_ids.accepts_all(records):
            for job in records:
                self.job_ids.check(job)
        database = self._durable if durable else self._database
        if all(map(is_flat, records.values())):
            # One statement leaves the interpreter to other threads until it is done; a row each would not.
            database.change(UPSERT_ALL, self.name, dumps_flat(dict(records)))
        else:
            database.change_many(UPSERT, [(self.name, job, dumps(data)) for job, data in records.items()])

    async def delete(self, job: str) -> None:
        """Remove the record of `job`; nothing happens if there is none."""
        statement = "DELETE FROM records WHERE name = ? AND job = ?"
        await call(self.inline, self._database.change, statement, self.name, self.job_ids.check(job))

    def stamp(self) -> Hashable | None:
        """Return what changes with every commit to the file."""
        return self._database.version() if self.inline and not self._is_missing else None

    def durable_path(self) -> str | None:
        """Return the directory of the file."""
        return os.path.dirname(self.path)

    def release(self) -> None:
        """Close the file; the next use opens it again."""
        self._database.close()
        self._durable.close()

    def __getstate__(self) -> tuple[str, str]:
        return (self.path, self.name)

    def __setstate__(self, state: tuple[str, str]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"SqliteMetadataRepository({self.path!r}, {self.name!r})"
