"""Locks on ranges of bytes, between processes that end in every way."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pdt.locks import is_range_locked, lock_range, unlock_range

#: Far beyond the end of the file.
BYTE = 2**48
#: Locks the byte that it is told, and says whether it got it.
LOCKER = """
import os, sys
from pdt.locks import lock_range
fd = os.open(sys.argv[1], os.O_RDWR)
print(lock_range(fd, int(sys.argv[2])), flush=True)
"""
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return an empty file."""
    (tmp_path / "locks").touch()
    return tmp_path / "locks"


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def locker(path: Path, byte: int, then: str) -> Iterator[subprocess.Popen[str]]:
    """Start a process that locks a byte; it is killed in the end."""
    code = LOCKER + then
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path), str(byte)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "True\n"
            yield process
        finally:
            process.kill()


def test_a_lock_keeps_others_from_its_bytes_only(path: Path) -> None:
    with opened(path) as first, opened(path) as second:
        assert lock_range(first, BYTE)
        assert not lock_range(second, BYTE)
        assert lock_range(second, BYTE + 1)
        assert lock_range(second, 0, 10)
        assert not lock_range(first, 9)
        assert is_range_locked(path, BYTE, 2)
        assert not is_range_locked(path, 10, BYTE - 10)
    assert path.stat().st_size == 0


def test_bytes_that_one_has_stay_its_own(path: Path) -> None:
    with opened(path) as fd:
        assert lock_range(fd, BYTE)
        assert lock_range(fd, BYTE)
        assert not is_range_locked(fd, BYTE)
        assert is_range_locked(path, BYTE)


def test_unlocking_frees_the_bytes_and_no_others(path: Path) -> None:
    with opened(path) as fd:
        assert lock_range(fd, 0, 10)
        unlock_range(fd, 3)
        unlock_range(fd, 1000)
        assert [is_range_locked(path, byte) for byte in (2, 3, 4)] == [True, False, True]
        unlock_range(fd, 0, 0)
        assert not is_range_locked(path, 0, 0)


def test_a_look_takes_nothing_and_any_number_may_look(path: Path) -> None:
    with opened(path) as first, opened(path) as second:
        for _ in range(3):
            assert not is_range_locked(first, BYTE)
            assert not is_range_locked(second, BYTE)
            assert not is_range_locked(path, BYTE)
        assert lock_range(second, BYTE)
        assert is_range_locked(first, BYTE)
        assert is_range_locked(path, BYTE)  # it closes the file again, which frees nothing
        assert is_range_locked(first, BYTE)


def test_a_file_that_is_not_there_has_no_locks(tmp_path: Path) -> None:
    assert not is_range_locked(tmp_path / "none", 0, 0)
    assert not (tmp_path / "none").exists()
    with pytest.raises(NotADirectoryError):
        is_range_locked(Path(__file__) / "none", 0)


def test_a_lock_cannot_be_taken_by_one_who_may_only_read(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="Bad file descriptor"):
            lock_range(fd, 0)
        assert not is_range_locked(fd, 0)
    finally:
        os.close(fd)


def test_a_killed_process_has_no_locks(path: Path) -> None:
    with locker(path, BYTE, "input()") as process:
        assert is_range_locked(path, BYTE)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not is_range_locked(path, BYTE)


def test_a_program_that_inherits_the_descriptor_keeps_the_lock(path: Path) -> None:
    then = """
import subprocess
child = subprocess.Popen(["sleep", "60"], pass_fds=[fd], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
input()
"""
    with locker(path, BYTE, then) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            process.kill()
            process.wait()
            assert is_range_locked(path, BYTE)
        finally:
            end(child)
        assert not is_range_locked(path, BYTE)


def end(pid: int) -> None:
    """Kill a process that another one started, and wait until it is gone."""
    fd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        assert select.select([fd], [], [], 10)[0]
    finally:
        os.close(fd)


def test_a_program_that_does_not_inherit_it_does_not(path: Path) -> None:
    then = "import subprocess; subprocess.Popen(['sleep', '1'], stdout=subprocess.DEVNULL); input()"
    with locker(path, BYTE, then) as process:
        process.kill()
        process.wait()
        assert not is_range_locked(path, BYTE)


def test_a_fork_shares_the_lock(path: Path) -> None:
    read, write = os.pipe()
    with opened(path) as fd:
        assert lock_range(fd, BYTE)
        child = os.fork()
        if child == 0:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
        os.close(read)
    try:
        assert is_range_locked(path, BYTE)
    finally:
        os.close(write)
        os.waitpid(child, 0)
    assert not is_range_locked(path, BYTE)


def test_what_a_fork_unlocks_is_free_for_all(path: Path) -> None:
    with opened(path) as fd:
        assert lock_range(fd, BYTE)
        child = os.fork()
        if child == 0:
            unlock_range(fd, BYTE)
            os._exit(0)
        os.waitpid(child, 0)
        assert not is_range_locked(path, BYTE)


def test_a_fork_that_ends_takes_no_lock_with_it(path: Path) -> None:
    with opened(path) as fd:
        assert lock_range(fd, BYTE)
        child = os.fork()
        if child == 0:
            os.close(fd)
            os._exit(0)
        os.waitpid(child, 0)
        assert is_range_locked(path, BYTE)
