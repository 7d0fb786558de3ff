"""Ledgers: create-if-absent, the one conditional write on which claims, commits and quotas stand."""

from .base import Ledger
from .files import FileLedger
from .memory import MemoryLedger
from .sqlite import SqliteLedger

__all__ = ["FileLedger", "Ledger", "MemoryLedger", "SqliteLedger"]
