"""The ledger contract: the one conditional write on which controllers agree."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import CorruptRecordError
from ..plain import dumps, loads

__all__ = ["Ledger", "check_entry", "dump_entry", "load_entry"]

#: Bytes of UTF-8 that a key may have: stores that index keys allow about a thousand.
KEY_LIMIT = 900
FORBIDDEN = frozenset(chr(code) for code in (*range(32), 127))


class Ledger(ABC):
    """Entries that are written once: a key is free, or holds what the first `insert` put there.

    A key is a text of parts separated by "/", for example "commit/count/job1".
    """

    @abstractmethod
    async def insert(self, key: str, value: Mapping[str, Any]) -> bool:
        """Write the entry if its key is free, and tell whether this call did; of many at once, one does.

        An entry is never changed: it can only be deleted and then inserted again.

        :raises ValueError: if `key` is empty, too long or not clean parts separated by "/".
        :raises TypeError: if `value` is not a mapping of plain data.
        """

    @abstractmethod
    async def get(self, key: str) -> dict[str, Any] | None:
        """Return the entry, or None if the key is free."""

    @abstractmethod
    async def list(self, prefix: str = "") -> list[str]:
        """Return the keys that begin with `prefix`, sorted."""

    @abstractmethod
    async def delete(self, key: str) -> bool:
        """Free the key, and tell whether this call did; it is no error if it is free already."""

    # Many at once: a ledger that can do better than one by one has its own.

    async def insert_all(self, entries: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """Write the entries whose keys are free, and return their keys."""
        return {key for key, value in entries.items() if await self.insert(key, value)}

    async def items(self, prefix: str = "") -> dict[str, dict[str, Any]]:
        """Return the entries whose keys begin with `prefix`."""
        found = {key: await self.get(key) for key in await self.list(prefix)}
        return {key: value for key, value in found.items() if value is not None}

    async def delete_all(self, keys: Iterable[str]) -> None:
        """Free the keys, in order."""
        for key in keys:
            await self.delete(key)

    def close(self) -> None:  # noqa: B027  a hook that most classes leave alone
        """Give back files and connections, to be taken again when they are needed."""


def check_entry(key: str) -> str:
    """Return `key` if it may name an entry.

    :raises ValueError: if it is empty, too long or not clean parts separated by "/".
    """
    if not _may_be_key(key):
        shown = ascii(key)
        if len(shown) > 80:
            shown = f"{shown[:76]}..."
        raise ValueError(
            f"{shown} cannot be a ledger key: 1 to {KEY_LIMIT} bytes of text in parts separated by single slashes"
        )
    return key


def _may_be_key(key: object) -> bool:
    if not isinstance(key, str) or any(part in ("", ".", "..") for part in key.split("/")):
        return False
    try:
        return len(key.encode()) <= KEY_LIMIT and FORBIDDEN.isdisjoint(key)
    except UnicodeEncodeError:
        return False


def dump_entry(value: Mapping[str, Any]) -> str:
    """Return an entry as text.

    :raises TypeError: if it is not a mapping of plain data.
    """
    given: object = value
    if not isinstance(given, Mapping):
        raise TypeError(f"{type(given).__name__} cannot be a ledger entry: give a mapping")
    return dumps(dict(given))


def load_entry(ledger: str, key: str, text: str | bytes) -> dict[str, Any]:
    """Return the entry that `text` stands for.

    :param ledger: where it comes from, for the error.
    :raises CorruptRecordError: if it is not what `dump_entry` returned.
    """
    try:
        value = loads(text if isinstance(text, str) else text.decode())
        if not isinstance(value, dict):
            raise ValueError(f"it is {type(value).__name__}, not a mapping")
    except ValueError as error:
        raise CorruptRecordError(ledger, key, str(error)) from error
    return value
