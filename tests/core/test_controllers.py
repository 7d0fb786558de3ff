"""The lock that makes a controller the only one, or one of those that share a pipeline."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pdt
from pdt.controllers import ControllerLock
from tests.support.lock_holder import HOLDER, held_elsewhere
from tests.support.ordinary_user import AsOrdinaryUser


def can_lock_elsewhere(path: Path, *words: str) -> bool:
    """Tell whether another process can take the lock."""
    command: list[str | Path] = [sys.executable, "-c", HOLDER, path, *words]
    return subprocess.run(command, input="", capture_output=True, text=True).returncode == 0


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[ControllerLock]:
    lock = ControllerLock(tmp_path / "p.lock")
    yield lock
    lock.release()


def test_is_taken_once_and_given_back(lock: ControllerLock) -> None:
    held = [lock.is_held]
    lock.acquire()
    lock.acquire()
    held.append(lock.is_held)
    assert not can_lock_elsewhere(lock.path)
    lock.release()
    lock.release()
    held.append(lock.is_held)
    assert can_lock_elsewhere(lock.path)
    lock.acquire()
    held.append(lock.is_held)
    assert held == [False, True, False, True]


def test_another_process_is_refused_and_told_who_holds_it(lock: ControllerLock) -> None:
    with held_elsewhere(lock.path) as holder:
        with pytest.raises(pdt.HeldError) as caught:
            lock.acquire()
        assert caught.value.exit_code == 6
        message = str(caught.value)
        assert f"process {holder.pid} on " in message
        assert re.search(r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", message)
        assert os.fspath(lock.path) in message
        assert "fix: wait for it, stop it" in message
        assert not lock.is_held


def test_a_killed_holder_frees_it(lock: ControllerLock) -> None:
    with held_elsewhere(lock.path) as holder:
        holder.kill()
        lock.acquire()
    assert lock.is_held
    assert json.loads(lock.path.read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("content", ["", "nonsense", '{"pid": "x"}', '{"pid": 1, "host": "h", "since": 1e300}', "[]"])
def test_a_holder_that_does_not_say_who_it_is(lock: ControllerLock, content: str) -> None:
    with held_elsewhere(lock.path):
        lock.path.write_text(content)
        with pytest.raises(pdt.HeldError, match="a process that has just begun"):
            lock.acquire()


def test_the_same_process_is_refused_by_whatever_path(lock: ControllerLock, tmp_path: Path) -> None:
    lock.acquire()
    (tmp_path / "link").symlink_to(tmp_path)
    for path in (lock.path, tmp_path / "link" / "p.lock", tmp_path / "link" / ".." / tmp_path.name / "p.lock"):
        with pytest.raises(pdt.HeldError, match="this process"):
            ControllerLock(path).acquire()
    assert not can_lock_elsewhere(lock.path)  # to look at it has not freed it
    other = ControllerLock(tmp_path / "q.lock")
    other.acquire()
    other.release()
    assert lock.is_held


def test_a_forgotten_lock_is_free(lock: ControllerLock) -> None:
    other = ControllerLock(lock.path)
    other.acquire()
    del other
    lock.acquire()


CHILDREN = """
import os, subprocess, sys, warnings
from pathlib import Path
from pdt import HeldError
from pdt.controllers import ControllerLock
warnings.simplefilter("ignore")
path = Path(sys.argv[1])
lock = ControllerLock(path)
lock.acquire()
child = os.fork()
if child == 0:
    assert not lock.is_held
    try:
        lock.acquire()
    except HeldError as error:
        assert f"process {os.getppid()} " in str(error), error
    else:
        os._exit(1)
    lock.release()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
held = subprocess.run([sys.executable, "-c", sys.argv[2], path], input="", capture_output=True).returncode
assert held != 0, "a child's release freed it"
sleeper = os.fork()
if sleeper == 0:
    os.closerange(0, 3)
    os.execlp("sleep", "sleep", "60")
print(sleeper)
"""


def test_children_do_not_inherit_it(lock: ControllerLock) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", CHILDREN, os.fspath(lock.path), HOLDER], stdout=subprocess.PIPE, text=True, check=True
    )
    try:
        lock.acquire()  # although a child of the one that held it lives on
    finally:
        os.kill(int(ran.stdout), signal.SIGKILL)


@pytest.mark.parametrize("target", ["victim", "nowhere"])
def test_a_link_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "p.lock").symlink_to(tmp_path / target)
    with pytest.raises(pdt.BackendError, match=r"cannot open the lock .*\nfix: check that it is a file of yours"):
        ControllerLock(tmp_path / "p.lock").acquire()
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_where_it_cannot_be_made_it_says_so(tmp_path: Path, as_ordinary_user: AsOrdinaryUser) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    for path in (closed / "p.lock", tmp_path / "missing" / "p.lock", tmp_path):
        with pytest.raises(pdt.BackendError, match="cannot open the lock"):
            as_ordinary_user(ControllerLock(path).acquire)


def test_a_full_disk_does_not_keep_a_controller_from_starting(
    lock: ControllerLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        lock.acquire()
    assert lock.is_held
    assert not can_lock_elsewhere(lock.path)


# Several that share it.


def test_any_number_may_share_it_and_none_has_it_alone_meanwhile(lock: ControllerLock) -> None:
    with held_elsewhere(lock.path, "shared") as first, held_elsewhere(lock.path, "shared") as second:
        lock.acquire(shared=True)
        shared = [lock.is_shared]
        assert len({first.number, second.number, lock.number}) == 3
        assert not can_lock_elsewhere(lock.path)
        lock.release()
        shared.append(lock.is_shared)
        assert not can_lock_elsewhere(lock.path)
    assert shared == [True, False]
    assert can_lock_elsewhere(lock.path)


def test_one_that_shares_it_is_named_to_one_that_does_not(lock: ControllerLock) -> None:
    lock.acquire()  # what it writes into the file says nothing of those that come after it
    lock.release()
    with held_elsewhere(lock.path, "shared") as holder:
        with pytest.raises(pdt.HeldError) as caught:
            lock.acquire()
        message = str(caught.value)
        assert f"and shares it: process {holder.pid} on {os.uname().nodename} (lock {lock.path})" in message
        assert "fix: join it with --shared, wait for it, or stop it" in message
    lock.acquire()


def test_one_that_does_not_share_it_is_named_to_one_that_would(lock: ControllerLock) -> None:
    with held_elsewhere(lock.path) as holder:
        with pytest.raises(pdt.HeldError) as caught:
            lock.acquire(shared=True)
        message = str(caught.value)
        assert f"and does not share it: process {holder.pid} on " in message
        assert "fix: wait for it, or stop it and start both with --shared" in message
        holder.kill()
        lock.acquire(shared=True)
    assert not can_lock_elsewhere(lock.path)


def test_a_process_shares_it_with_others_and_not_with_itself(lock: ControllerLock) -> None:
    lock.acquire(shared=True)
    for shared in (True, False):
        with pytest.raises(pdt.HeldError, match="this process"):
            ControllerLock(lock.path).acquire(shared=shared)
    assert not can_lock_elsewhere(lock.path)


def test_one_of_those_that_are_left_looks_after_one_that_is_gone(lock: ControllerLock) -> None:
    lock.acquire(shared=True)
    with held_elsewhere(lock.path, "shared") as other:
        assert not lock.take(other.number)
        assert lock.numbers == {lock.number}
        other.kill()
        assert lock.take(other.number)
        assert lock.take(other.number)
        assert lock.numbers == {lock.number, other.number}
    taking = HOLDER + f"print(*map(lock.take, [{other.number}, {lock.number}, 0]))"
    command: list[str | Path] = [sys.executable, "-c", taking, lock.path, "shared"]
    seen = subprocess.run(command, input="", capture_output=True, text=True, check=True).stdout
    assert seen.endswith("False False True\n")
    assert lock.take(0)  # what those left that worked alone
    assert not can_lock_elsewhere(lock.path)
    lock.release()
    assert not lock.take(other.number)
    assert can_lock_elsewhere(lock.path)


def test_children_hold_no_share_of_it(lock: ControllerLock) -> None:
    children = CHILDREN.replace("lock.acquire()", "lock.acquire(shared=True)", 1)
    ran = subprocess.run(
        [sys.executable, "-c", children, os.fspath(lock.path), HOLDER], stdout=subprocess.PIPE, text=True, check=True
    )
    try:
        lock.acquire()
    finally:
        os.kill(int(ran.stdout), signal.SIGKILL)
