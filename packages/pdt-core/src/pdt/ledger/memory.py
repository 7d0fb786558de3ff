"""A ledger in this process."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any

from .base import Ledger, check_entry, dump_entry, load_entry

__all__ = ["MemoryLedger"]


class MemoryLedger(Ledger):
    """Entries in a dict, which vanish with the process."""

    def __init__(self) -> None:
        self._entries: dict[str, str] = {}

    async def insert(self, key: str, value: Mapping[str, Any]) -> bool:
        """Write the entry if its key is free, and tell whether this call did."""
        text = dump_entry(value)
        if check_entry(key) in self._entries:
            return False
        self._entries[key] = text
        return True

    async def get(self, key: str) -> dict[str, Any] | None:
        """Return the entry, or None if the key is free."""
        text = self._entries.get(check_entry(key))
        return None if text is None else load_entry("a ledger in memory", key, text)

    async def list(self, prefix: str = "") -> builtins.list[str]:
        """Return the keys that begin with `prefix`, sorted."""
        return sorted(key for key in self._entries if key.startswith(prefix))

    async def delete(self, key: str) -> bool:
        """Free the key, and tell whether this call did."""
        return self._entries.pop(check_entry(key), None) is not None
