"""The ledger in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import pdt

pytestmark = pytest.mark.blocking(reason="an insert is on the disk when it returns")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[pdt.SqliteLedger]:
    ledger = pdt.SqliteLedger(path)
    yield ledger
    ledger.close()


async def test_is_there_after_it_was_closed(ledger: pdt.SqliteLedger) -> None:
    await ledger.insert("x", {"a": 1})
    ledger.close()
    assert await ledger.get("x") == {"a": 1}


async def test_shares_its_file_with_records(ledger: pdt.SqliteLedger, path: Path) -> None:
    records = pdt.SqliteMetadataRepository(path, "done")
    await records.dump("x", {"r": 1})
    await ledger.insert("x", {"l": 1})
    assert (await records.info("x"), await ledger.get("x")) == ({"r": 1}, {"l": 1})
    records.release()


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"$pdt": "what"}'])
async def test_a_broken_entry_is_held_and_named(ledger: pdt.SqliteLedger, path: Path, text: str) -> None:
    await ledger.insert("x/y", {})
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE ledger SET value = ?", (text,))
    connection.close()
    with pytest.raises(pdt.CorruptRecordError, match=r"record 'x/y' in ledger '.*ledger.sqlite'"):
        await ledger.get("x/y")
    assert await ledger.insert("x/y", {}) is False


async def test_a_broken_file_says_what_to_do(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    ledger = pdt.SqliteLedger(path)
    for operation in (ledger.insert("x", {}), ledger.get("x"), ledger.list(), ledger.delete("x")):
        with pytest.raises(pdt.BackendError, match=r"file is not a database\nfix: restore it"):
            await operation
