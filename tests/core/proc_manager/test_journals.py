"""The journals of a controller: begun, full, shared with others, and removed in the end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import pdt
from pdt import localfs
from pdt.proc_manager import journals as module
from pdt.proc_manager.journal import ROTATION_SIZE
from pdt.proc_manager.journals import Journals

CREATING = """
import sys
from pdt import localfs
from pdt.proc_manager.journals import Journals
journals = Journals(sys.argv[1], lambda: localfs.make_private(sys.argv[1]))
journals.open()
journals.reserve("1" * 32)
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "journals"


@pytest.fixture
def make(directory: Path) -> Callable[[], Journals]:
    def made() -> Journals:
        journals = Journals(os.fspath(directory), lambda: localfs.make_private(os.fspath(directory)))
        journals.open()
        return journals

    return made


def token(number: int) -> str:
    return f"{number:032x}"


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


def begun(journals: Journals, number: int) -> tuple[str, int]:
    """Note an attempt that begins."""
    name, place = journals.reserve(token(number))
    _, lock = journals.lock(name, place)
    os.write(lock, f"{token(number)} start 7\n".encode())
    return name, lock


def test_nothing_is_left_of_a_controller_whose_attempts_are_settled(
    make: Callable[[], Journals], directory: Path
) -> None:
    journals = make()
    assert names(directory) == []
    name, lock = begun(journals, 1)
    assert journals.reserve(token(2)) == (name, 2)
    journals.settle([token(1), token(2), token(3)])
    assert names(directory) == [name]
    journals.close()
    assert names(directory) == []
    os.close(lock)


def test_what_is_not_settled_is_left_to_the_next_controller(make: Callable[[], Journals], directory: Path) -> None:
    first = make()
    name, lock = begun(first, 1)
    first.close()
    second = make()
    assert names(directory) == [name]
    journal = second.find(name)
    assert journal is not None
    assert journal.trace(token(1)).pid == 7
    assert journal.is_locked(1)
    assert second.find(name) is journal
    journal.unsettled.add(token(1))
    os.close(lock)
    second.settle([token(1)])
    assert names(directory) == []
    second.close()


def test_a_full_journal_is_left_to_its_attempts(make: Callable[[], Journals], directory: Path) -> None:
    journals = make()
    first, lock = begun(journals, 1)
    os.write(lock, b"x" * ROTATION_SIZE)
    journal = journals.find(first)
    assert journal is not None
    journal.read()
    second, _ = journals.reserve(token(2))
    assert second != first
    assert names(directory) == sorted([first, second])
    os.write(lock, f"\n{token(1)} exit 0\n".encode())
    os.close(lock)
    journal.read()
    assert journal.trace(token(1)).code == 0
    journals.settle([token(1)])
    assert names(directory) == [second]
    # One in which nothing is left is not kept when it is full.
    current = journals.find(second)
    assert current is not None
    current.write("x" * ROTATION_SIZE)
    current.read()
    journals.settle([token(2)])
    third, _ = journals.reserve(token(3))
    assert names(directory) == [third]
    journals.settle([token(3)])
    journals.close()


def test_a_full_journal_that_cannot_be_removed_is_settled_again(
    make: Callable[[], Journals], directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journals = make()
    name, lock = begun(journals, 1)
    os.write(lock, b"x" * ROTATION_SIZE)
    os.close(lock)
    journal = journals.find(name)
    assert journal is not None
    journal.read()
    journals.reserve(token(2))
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        with pytest.raises(PermissionError):
            journals.settle([token(1)])
    journals.settle([token(1)])
    assert name not in names(directory)
    journals.settle([token(2)])
    journals.close()
    assert names(directory) == []


def refuse(path: str) -> None:
    raise PermissionError(13, "Permission denied", path)


def test_a_journal_that_two_have_taken_over_is_removed_by_the_last(
    make: Callable[[], Journals], directory: Path
) -> None:
    former = make()
    name, first = begun(former, 1)
    _, second = begun(former, 2)
    former.close()
    left, right = make(), make()
    for journals, number in ((left, 1), (right, 2)):
        journal = journals.find(name)
        assert journal is not None
        journal.unsettled.add(token(number))
    os.close(first)
    left.settle([token(1)])
    left.close()
    assert names(directory) == [name]  # the other's attempt runs
    os.close(second)
    make().close()
    assert names(directory) == [name]  # and is not settled
    right.settle([token(2)])
    right.close()
    assert names(directory) == []


def test_what_never_began_is_nobodys(make: Callable[[], Journals], directory: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", CREATING, os.fspath(directory)], check=True)
    assert ran.returncode == 0
    assert len(names(directory)) == 1
    make().close()
    assert names(directory) == []


def test_a_new_journal_has_no_name_before_it_is_locked(make: Callable[[], Journals], directory: Path) -> None:
    """Another controller would take it for abandoned and remove it, and with it what tells of its attempts."""
    environ = {**os.environ, "PDT_FAILPOINTS": "journal.before_lock=hang"}
    command = [sys.executable, "-c", CREATING, os.fspath(directory)]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.readline()
        (name,) = names(directory)
        assert name.startswith(localfs.TEMPORARY_PREFIX)
        make().close()
        assert names(directory) == [name]
        process.kill()
    make().close()
    assert names(directory) == []


def test_a_directory_that_was_removed_is_made_anew(make: Callable[[], Journals], directory: Path) -> None:
    journals = make()
    name, number = journals.reserve(token(1))
    (directory / name).unlink()
    directory.rmdir()
    with pytest.raises(pdt.BackendError, match="removed or replaced"):
        journals.lock(name, number)
    other, number = journals.reserve(token(2))
    assert other != name
    os.close(journals.lock(other, number)[1])
    journals.settle([token(1), token(2)])
    journals.close()
    assert names(directory) == []


@pytest.mark.parametrize("answer", [None, False])
def test_without_locks_nothing_can_be_seen(
    make: Callable[[], Journals], directory: Path, monkeypatch: pytest.MonkeyPatch, answer: bool | None
) -> None:
    def lock_range(*arguments: object) -> bool:
        if answer is None:
            raise OSError(37, "No locks available")
        return answer

    monkeypatch.setattr(module, "lock_range", lock_range)
    with pytest.raises(pdt.BackendError, match=r"has no locks.*\nfix: give the process manager a directory on a local"):
        make()
    assert names(directory) == []


def test_a_place_of_somebody_else_is_none(make: Callable[[], Journals], directory: Path) -> None:
    journals = make()
    (directory.parent / "journal").touch()
    assert journals.find("../journal") is None
    assert journals.find("none") is None
    assert journals.find("") is None
    journals.close()
