"""The ledger in SQLite."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
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


async def test_many_are_written_all_or_none(ledger: pdt.SqliteLedger, path: Path) -> None:
    """Of a call that fails in the middle, nothing is there."""
    await ledger.insert("z", {})
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(
            "CREATE TRIGGER t BEFORE INSERT ON ledger WHEN NEW.key = 'bad' BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
    connection.close()
    with pytest.raises((pdt.PdtError, sqlite3.Error), match="no room"):
        await ledger.insert_all({"a": {}, "bad": {}, "c": {}})
    assert await ledger.list() == ["z"]
    assert await ledger.insert_all({"a": {}}) == {"a"}


async def test_a_broken_entry_among_many_is_named(ledger: pdt.SqliteLedger, path: Path) -> None:
    await ledger.insert_all({"x/1": {}, "x/2": {}, "y": {}})
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE ledger SET value = 'nonsense' WHERE key = 'x/2'")
    connection.close()
    with pytest.raises(pdt.CorruptRecordError, match="record 'x/2' in ledger"):
        await ledger.items("x/")
    assert await ledger.items("y") == {"y": {}}


@pytest.mark.parametrize("durable", [True, False])
async def test_what_need_not_survive_a_power_cut_is_not_synced(durable: bool, tmp_path: Path) -> None:
    ledger = pdt.SqliteLedger(tmp_path / "l.sqlite", durable=durable)
    await ledger.insert("a", {})
    [(mode,)] = ledger._database.query("PRAGMA synchronous")
    assert mode == (2 if durable else 1)
    ledger.close()


async def test_closing_gives_its_files_back(ledger: pdt.SqliteLedger, path: Path) -> None:
    await ledger.insert("a", {})
    assert str(path) in _open_files()
    ledger.close()
    assert str(path) not in _open_files()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def _open_files() -> set[str]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the descriptor of the listing itself
            found.add(os.readlink(f"/proc/self/fd/{name}"))
    return found
