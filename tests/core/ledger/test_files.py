"""The ledger of files: links, lost answers, full disks and what crashes leave."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pdt
from pdt import localfs
from tests.support.ordinary_user import AsOrdinaryUser

pytestmark = pytest.mark.blocking(reason="an insert is on the disk when it returns")


@pytest.fixture
def ledger(tmp_path: Path) -> pdt.FileLedger:
    return pdt.FileLedger(tmp_path / "ledger")


def files(directory: Path) -> list[str]:
    return sorted(os.fspath(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


async def test_names_are_readable(ledger: pdt.FileLedger, tmp_path: Path) -> None:
    await ledger.insert("commit/count/job-1.x", {"a": 1})
    assert files(tmp_path) == ["ledger/commit%2Fcount%2Fjob-1%2Ex"]
    assert (tmp_path / "ledger" / "commit%2Fcount%2Fjob-1%2Ex").read_text() == '{"a":1}'


async def test_the_directory_is_where_the_program_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = pdt.FileLedger("a/b")
    monkeypatch.chdir("/")
    await ledger.insert("x", {})
    assert files(tmp_path) == ["a/b/x"]


async def test_another_object_sees_the_same(ledger: pdt.FileLedger, tmp_path: Path) -> None:
    await ledger.insert("x", {"a": 1})
    assert await pdt.FileLedger(tmp_path / "ledger").get("x") == {"a": 1}
    assert await pdt.FileLedger(tmp_path / "ledger").insert("x", {}) is False


@pytest.mark.parametrize(
    "answer", [OSError(5, "Input/output error"), FileExistsError(17, "File exists"), TimeoutError()]
)
async def test_a_link_whose_answer_was_lost_has_won(
    ledger: pdt.FileLedger, tmp_path: Path, answer: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def link_and_lose_the_answer(*args: Any, **options: Any) -> None:
        link(*args, **options)
        raise answer

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", link_and_lose_the_answer)
        assert await ledger.insert("x", {"by": 1}) is True
        assert await ledger.insert("x", {"by": 2}) is False
    assert await ledger.get("x") == {"by": 1}
    assert files(tmp_path) == ["ledger/x"]
    assert (tmp_path / "ledger" / "x").stat().st_nlink == 1


async def test_a_link_that_failed_has_not_won(
    ledger: pdt.FileLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", fail)
        with pytest.raises(OSError, match="Input/output error"):
            await ledger.insert("x", {"by": 1})
    assert files(tmp_path) == []
    assert await ledger.get("x") is None
    assert await ledger.insert("x", {"by": 2}) is True


async def test_one_that_was_slower_has_not_won(
    ledger: pdt.FileLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def let_another_be_first(source: str, target: str, **options: Any) -> None:
        Path(target).write_text('{"by": "another"}')
        link(source, target, **options)

    monkeypatch.setattr(os, "link", let_another_be_first)
    assert await ledger.insert("x", {"by": "me"}) is False
    assert await ledger.get("x") == {"by": "another"}
    assert files(tmp_path) == ["ledger/x"]


LIMITED = """
import asyncio, resource, signal, sys
import pdt
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    asyncio.run(pdt.FileLedger(sys.argv[1]).insert("x", {"long": "x" * 1000}))
except OSError as error:
    print(error.strerror)
"""

KILLED = """
import asyncio, os, signal, sys
import pdt
os.link = lambda *args, **options: os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(pdt.FileLedger(sys.argv[1]).insert("x", {"by": "killed"}))
"""


def run(script: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script, directory], capture_output=True, text=True)


def test_a_torn_write_leaves_the_key_free(ledger: pdt.FileLedger, tmp_path: Path) -> None:
    ran = run(LIMITED, tmp_path / "ledger")
    assert ran.stdout == "File too large\n", ran.stderr
    assert files(tmp_path) == []
    assert asyncio.run(ledger.insert("x", {"by": 2})) is True


def test_a_killed_writer_leaves_the_key_free_and_is_swept(ledger: pdt.FileLedger, tmp_path: Path) -> None:
    assert run(KILLED, tmp_path / "ledger").returncode == -signal.SIGKILL
    assert len(files(tmp_path)) == 1
    assert asyncio.run(ledger.get("x")) is None
    assert asyncio.run(ledger.list()) == []
    assert files(tmp_path) == []
    assert asyncio.run(ledger.insert("x", {"by": 2})) is True


async def test_temporaries_of_the_living_are_hidden_and_stay(ledger: pdt.FileLedger, tmp_path: Path) -> None:
    await ledger.insert("x", {})
    temporary = Path(localfs.temporary_path(os.fspath(tmp_path / "ledger")))
    temporary.touch()
    assert await ledger.list() == ["x"]
    assert temporary.exists()


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "5", '[["a", 1]]', '{"$pdt": "what"}', "\udcff"])
async def test_a_broken_entry_is_held_and_named(ledger: pdt.FileLedger, tmp_path: Path, text: str) -> None:
    await ledger.insert("x/y", {})
    (tmp_path / "ledger" / "x%2Fy").write_bytes(os.fsencode(text))
    with pytest.raises(pdt.CorruptRecordError, match=r"record 'x/y' in ledger '.*/ledger'"):
        await ledger.get("x/y")
    assert await ledger.insert("x/y", {}) is False
    assert await ledger.list() == ["x/y"]


def test_a_directory_that_cannot_be_read_is_not_taken_for_an_empty_one(
    ledger: pdt.FileLedger, tmp_path: Path, as_ordinary_user: AsOrdinaryUser
) -> None:
    for key in ("x" * 300, "short"):
        asyncio.run(ledger.insert(key, {}))
    below = next(path for path in (tmp_path / "ledger").iterdir() if path.is_dir())
    operations: list[tuple[Path, Callable[[], Any]]] = [
        (below, lambda: ledger.list()),
        (below, lambda: ledger.get("x" * 300)),
        (tmp_path / "ledger", lambda: ledger.list("s")),
        (tmp_path / "ledger", lambda: ledger.get("short")),
        (tmp_path / "ledger", lambda: ledger.delete("short")),
    ]
    for directory, operation in operations:
        directory.chmod(0)
        try:
            with pytest.raises(PermissionError):
                as_ordinary_user(lambda operation=operation: asyncio.run(operation()))  # type: ignore[misc]
        finally:
            directory.chmod(0o700)


async def test_what_was_inserted_is_durable(
    ledger: pdt.FileLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(os.path.realpath(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    await ledger.insert("x", {})
    directory = tmp_path / "ledger"
    assert any(path.startswith(f"{directory}/{localfs.TEMPORARY_PREFIX}") for path in synced)
    # The entry's name, and that of the directory that was made for it.
    assert {os.fspath(directory), os.fspath(tmp_path)} <= set(synced)
