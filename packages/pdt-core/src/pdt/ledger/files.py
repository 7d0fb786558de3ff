"""A ledger of files, for the processes of one machine, or of several over a file system with atomic links."""

from __future__ import annotations

import builtins
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from .. import localfs
from ..localfs import TEMPORARY_PREFIX, call, insert_bytes, read_bytes, sweep_temporaries, sync_path
from .base import Ledger, check_entry, dump_entry, load_entry

__all__ = ["FileLedger"]

#: Characters of a key that a file name takes as they are; the others are percent-encoded.
SAFE = "-_"
#: Bytes that most file systems allow in a name, less the room for a temporary's.
NAME_LIMIT = 200


class FileLedger(Ledger):
    """Entries as files of a directory tree, durable when `insert` returns; a hard link decides who was first.

    :param directory: where the files are; made when it is first used.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._directory = os.path.abspath(directory)
        self._inline = localfs.is_local(self._directory)
        self._swept = False

    def _path(self, key: str) -> str:
        name = quote(check_entry(key), safe=SAFE).replace(".", "%2E")
        pieces = [name[start : start + NAME_LIMIT] for start in range(0, len(name), NAME_LIMIT)]
        # A name that goes on is a directory, told from an entry by its "+", which quote() never leaves.
        return os.path.join(self._directory, *(f"{piece}+" for piece in pieces[:-1]), pieces[-1])

    async def insert(self, key: str, value: Mapping[str, Any]) -> bool:
        """Write the entry if its key is free, and tell whether this call did."""
        return await call(self._inline, insert_bytes, self._path(key), dump_entry(value).encode())

    async def get(self, key: str) -> dict[str, Any] | None:
        """Return the entry, or None if the key is free.

        :raises CorruptRecordError: if the file is not what `insert` wrote.
        """
        try:
            text = await call(self._inline, read_bytes, self._path(key))
        except FileNotFoundError:
            return None
        return load_entry(f"ledger {self._directory!r}", key, text)

    async def list(self, prefix: str = "") -> builtins.list[str]:
        """Return the keys that begin with `prefix`, sorted."""
        keys = await call(self._inline, self._list)
        return sorted(key for key in keys if key.startswith(prefix))

    def _list(self) -> builtins.list[str]:
        found = []
        for directory, _, names in os.walk(self._directory, onerror=_raise):
            above = os.path.relpath(directory, self._directory)
            start = "" if above == "." else above.replace("+/", "").removesuffix("+")
            hidden = [name for name in names if name.startswith(TEMPORARY_PREFIX)]
            if hidden and not self._swept:
                sweep_temporaries(directory, hidden)
            found += [unquote(start + name) for name in names if not name.startswith(TEMPORARY_PREFIX)]
        self._swept = True
        return found

    async def delete(self, key: str) -> bool:
        """Free the key, and tell whether this call did."""
        return await call(self._inline, self._delete, self._path(key))

    @staticmethod
    def _delete(path: str) -> bool:
        try:
            os.unlink(path)
        except FileNotFoundError:
            return False
        sync_path(os.path.dirname(path))
        return True


def _raise(error: OSError) -> None:
    """Let a directory that cannot be read be known: what is in it is not free."""
    if not isinstance(error, FileNotFoundError):
        raise error
