"""The ledger contract: the one conditional write on which controllers agree."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

__all__ = ["Ledger", "check_entry"]

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


def check_entry(key: str) -> str:
    """Return `key` if it may name an entry.

    :raises ValueError: if it is empty, too long or not clean parts separated by "/".
    """
    parts = key.split("/")
    if len(key) > KEY_LIMIT or FORBIDDEN & set(key) or any(part in ("", ".", "..") for part in parts):
        shown = ascii(key) if len(key) < 80 else f"{ascii(key[:76])}..."
        raise ValueError(
            f"{shown} cannot be a ledger key: 1 to {KEY_LIMIT} characters, in parts separated by single slashes"
        )
    return key
