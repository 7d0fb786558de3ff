"""The contract of ledgers, for each class of them, and across processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pdt
from tests.core.ledger.contract import LedgerContract


class TestMemory(LedgerContract):
    @pytest.fixture
    def ledger(self, tmp_path: Path) -> pdt.Ledger:
        return pdt.MemoryLedger()


@pytest.mark.blocking(reason="an insert is on the disk when it returns")
class TestFiles(LedgerContract):
    @pytest.fixture
    def ledger(self, tmp_path: Path) -> pdt.Ledger:
        return pdt.FileLedger(tmp_path / "ledger")


class TestFilesOnANetwork(LedgerContract):
    rounds = 5  # each insert has a thread of its own

    @pytest.fixture
    def ledger(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pdt.Ledger:
        (tmp_path / "mounts").write_text("server:/x / nfs4 rw 0 0\n")
        monkeypatch.setattr("pdt.mounts.MOUNTS", os.fspath(tmp_path / "mounts"))
        return pdt.FileLedger(tmp_path / "ledger")


@pytest.mark.blocking(reason="an insert is on the disk when it returns")
class TestSqlite(LedgerContract):
    @pytest.fixture
    def ledger(self, tmp_path: Path) -> Iterator[pdt.Ledger]:
        ledger = pdt.SqliteLedger(tmp_path / "sub" / "ledger.sqlite")
        yield ledger
        ledger.close()


class TestSqliteThatOnlySurvivesTheProcess(LedgerContract):
    @pytest.fixture
    def ledger(self, tmp_path: Path) -> Iterator[pdt.Ledger]:
        ledger = pdt.SqliteLedger(tmp_path / "ledger.sqlite", durable=False)
        yield ledger
        ledger.close()


CONTENDER = """
import asyncio, sys
import pdt
ledger = getattr(pdt, sys.argv[1])(sys.argv[2])
async def main():
    for line in sys.stdin:
        print(int(await ledger.insert(f"claim/{line.strip()}", {"by": sys.argv[3]})), flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["FileLedger", "SqliteLedger"])
def test_of_several_processes_one_wins(kind: str, tmp_path: Path) -> None:
    path = os.fspath(tmp_path / "ledger")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    contenders = [
        subprocess.Popen([sys.executable, "-c", CONTENDER, kind, path, str(number)], text=True, **pipes)  # type: ignore[call-overload]
        for number in range(4)
    ]
    winners = []
    try:
        for attempt in range(20):
            for contender in contenders:
                contender.stdin.write(f"{attempt}\n")
                contender.stdin.flush()
            answers = [contender.stdout.readline() for contender in contenders]
            assert sorted(answers) == ["0\n", "0\n", "0\n", "1\n"]
            winners.append(answers.index("1\n"))
    finally:
        for contender in contenders:
            contender.communicate()
    entries = getattr(pdt, kind)(path)
    assert [asyncio.run(entries.get(f"claim/{attempt}"))["by"] for attempt in range(20)] == [str(by) for by in winners]
    assert len(asyncio.run(entries.list("claim/"))) == 20
    if isinstance(entries, pdt.SqliteLedger):
        entries.close()
