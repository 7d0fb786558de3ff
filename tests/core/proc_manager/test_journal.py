"""Journals: what is read of them whatever scripts write there, and whose they are."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import pdt
from pdt.proc_manager import journal as module
from pdt.proc_manager.journal import ROTATION_SIZE, Journal, Trace, abandoned

ONE, TWO = "1" * 32, "2" * 32
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return os.fspath(tmp_path / "journal")


@pytest.fixture
def journal(path: str) -> Iterator[Journal]:
    made = Journal.create(path)
    yield made
    made.close()


def add(path: str, text: str | bytes) -> None:
    with open(path, "ab") as file:
        file.write(text.encode() if isinstance(text, str) else text)


def test_lines_are_read_as_they_come(journal: Journal, path: str) -> None:
    trace = journal.trace(ONE)
    assert journal.read() == set()
    add(path, f"{ONE} start 71\n")
    assert journal.read() == {ONE}
    assert trace == Trace(pid=71)
    add(path, f"{TWO} start 72\n{ONE} exit 3\n")
    journal.write(f"{TWO} kill timeout 12345", f"{ONE} settled")
    assert journal.read() == {ONE, TWO}
    assert trace == Trace(pid=71, code=3, settled=True)
    assert journal.trace(TWO) == Trace(pid=72, killed="timeout", deadline=12345)
    assert journal.read() == set()


def test_a_line_without_its_end_is_none(journal: Journal, path: str) -> None:
    add(path, f"{ONE} start 71\n{ONE} exit 1")
    journal.read()
    assert journal.trace(ONE).code is None
    add(path, "3")
    journal.read()
    assert journal.trace(ONE).code is None
    add(path, "\n")
    assert journal.read() == {ONE}
    assert journal.trace(ONE).code == 13


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"text", id="text"),
        pytest.param(b"a" * 32, id="like a token"),
        pytest.param(b"deadbeef", id="digits of a token"),
        pytest.param(b"\0\xff\n\n\n", id="bytes"),
        pytest.param(b"x" * 300_000, id="more than is read at once"),
        pytest.param(f"{TWO} exit ".encode(), id="half a line"),
        pytest.param(f"{TWO} exit 5x ".encode(), id="a broken line"),
        pytest.param(b"x" * (65536 - 20), id="up to where a block ends"),
    ],
)
def test_what_a_script_writes_there_hides_no_line(journal: Journal, path: str, garbage: bytes) -> None:
    add(path, garbage)
    add(path, f"{ONE} start 71\n")
    add(path, garbage)
    journal.read()
    add(path, garbage)
    add(path, f"{ONE} exit 4\n")
    journal.read()
    assert journal.trace(ONE) == Trace(pid=71, code=4)
    assert journal.trace(TWO).code is None


def test_garbage_without_end_takes_no_memory(journal: Journal, path: str) -> None:
    for _ in range(20):
        add(path, b"x" * 100_000)
        journal.read()
    assert len(journal._partial) < 1000


def test_what_was_said_first_stands(journal: Journal, path: str) -> None:
    """A script knows its own token, and may write anything."""
    add(
        path,
        f"{ONE} start 71\n{ONE} start 1\n{ONE} kill timeout 5\n{ONE} kill cancelled 6\n{ONE} exit 9\n{ONE} exit 0\n",
    )
    journal.read()
    assert journal.trace(ONE) == Trace(pid=71, killed="timeout", deadline=5, code=9)


@pytest.mark.parametrize(
    "line",
    [f"{ONE} exit -1", f"{ONE} exit 12345678901", f"{ONE[:-1]} exit 0", f"{ONE.upper()[:-1]}G exit 0", f"{ONE}exit 0"],
)
def test_no_other_line_is_one(journal: Journal, path: str, line: str) -> None:
    add(path, line + "\n")
    assert journal.read() == set()


def test_two_controllers_read_and_write_one_journal(journal: Journal, path: str) -> None:
    other = Journal.open(path)
    journal.write(f"{ONE} kill timeout 1")
    other.write(f"{TWO} settled")
    for reader in (journal, other):
        assert reader.read() == {ONE, TWO}
    assert other.is_locked(0)  # the first has its lock
    assert not journal.is_locked(0)
    other.close()


def test_an_attempt_holds_its_lock_as_long_as_anything_of_it_runs(journal: Journal) -> None:
    number, other = journal.next_number(), journal.next_number()
    descriptor = journal.lock(number)
    with pytest.raises(BlockingIOError, match="locked already"):
        journal.lock(number)
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[descriptor])
    os.close(descriptor)
    assert journal.is_locked(number)
    assert not journal.is_locked(other)
    process.communicate()
    assert not journal.is_locked(number)


def test_a_forked_worker_holds_no_lock(journal: Journal, path: str) -> None:
    read, write = os.pipe()
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.write(tell, b"x")
        os.read(read, 1)
        os._exit(0)
    os.read(ready, 1)
    journal.close()
    assert abandoned(path)
    for descriptor in (read, write, ready, tell):
        os.close(descriptor)
    os.waitpid(child, 0)


def test_a_journal_that_was_removed_or_replaced_takes_no_attempts(journal: Journal, path: str, tmp_path: Path) -> None:
    os.rename(path, tmp_path / "moved")
    with pytest.raises(pdt.BackendError, match="removed or replaced"):
        journal.lock(1)
    Journal.create(path).close()
    with pytest.raises(pdt.BackendError, match="fix: leave the directory"):
        journal.lock(1)


def test_a_link_is_no_journal(journal: Journal, path: str, tmp_path: Path) -> None:
    os.symlink(path, tmp_path / "link")
    with pytest.raises(OSError, match="symbolic links"):
        Journal.open(os.fspath(tmp_path / "link"))


def test_it_is_full_some_time(journal: Journal, path: str) -> None:
    assert not journal.is_full
    add(path, b"x" * ROTATION_SIZE + b"\n")
    journal.read()
    assert journal.is_full


def test_without_locks_there_is_no_journal(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> bool:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(module, "lock_range", refuse)
    with pytest.raises(OSError, match="No locks"):
        Journal.create(path)
    assert list(tmp_path.iterdir()) == []


def test_whether_a_journal_is_abandoned(path: str, tmp_path: Path) -> None:
    assert not abandoned(path)  # it is not there
    journal = Journal.create(path)
    assert not abandoned(path)
    lock = journal.lock(1)
    journal.close()
    assert not abandoned(path)  # something runs
    add(path, f"{ONE} start 71\n")
    os.close(lock)
    assert not abandoned(path)  # nobody knows yet how it ended
    add(path, f"{ONE} exit 0\n")
    assert not abandoned(path)
    add(path, f"{TWO} kill cancelled 5\n")  # it never started
    add(path, f"{ONE} settled\n")
    assert abandoned(path)
    add(path, f"{TWO} start 5\n")
    assert not abandoned(path)
    (tmp_path / "directory").mkdir()
    assert not abandoned(os.fspath(tmp_path / "directory"))
