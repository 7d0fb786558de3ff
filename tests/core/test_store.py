"""The store's directory, and the lock that makes a controller the only one."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import pdt
from pdt import localfs, store
from pdt.store import ControllerLock, Store, local_state
from tests.support.ordinary_user import AsOrdinaryUser

HOLDER = """
import sys
from pathlib import Path
from pdt.store import ControllerLock
lock = ControllerLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.readline()
"""


@contextmanager
def held_elsewhere(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold the lock."""
    command = [sys.executable, "-c", HOLDER, os.fspath(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def can_lock_elsewhere(path: Path) -> bool:
    """Tell whether another process can take the lock."""
    return (
        subprocess.run([sys.executable, "-c", HOLDER, path], input="", capture_output=True, text=True).returncode == 0
    )


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[ControllerLock]:
    lock = ControllerLock(tmp_path / "p.lock")
    yield lock
    lock.release()


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a directory behind a network, and the user's state beside it; return the directory."""
    (tmp_path / "mounts").write_text(f"/dev/vda / ext4 rw 0 0\nserver:/x {tmp_path}/far nfs4 rw 0 0\n")
    (tmp_path / "far").mkdir()
    monkeypatch.setattr("pdt.mounts.MOUNTS", os.fspath(tmp_path / "mounts"))
    monkeypatch.setenv("XDG_STATE_HOME", os.fspath(tmp_path / "state"))
    return tmp_path / "far"


# The directory.


def test_is_made_when_it_is_needed_and_keeps_out_of_git(tmp_path: Path) -> None:
    made = Store(tmp_path / "a" / ".pdt")
    assert not (tmp_path / "a").exists()
    assert made.make() == tmp_path / "a" / ".pdt"
    assert (tmp_path / "a" / ".pdt" / ".gitignore").read_text().endswith("\n*\n")
    (tmp_path / "a" / ".pdt" / ".gitignore").write_text("mine\n")
    made.make()
    assert (tmp_path / "a" / ".pdt" / ".gitignore").read_text() == "mine\n"
    assert repr(made) == f"Store('{tmp_path}/a/.pdt')"


def test_stays_where_it_is_when_the_program_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = Store(".pdt")
    monkeypatch.chdir("/")
    assert made.path == tmp_path / ".pdt"


def test_the_lock_lies_in_a_local_store(tmp_path: Path) -> None:
    assert Store(tmp_path / ".pdt").lock_path("p") == tmp_path / ".pdt" / "p.lock"
    assert os.listdir(tmp_path / ".pdt") == [".gitignore"]


def test_the_lock_of_a_store_on_a_network_lies_on_this_machine(network: Path, tmp_path: Path) -> None:
    path = Store(network / ".pdt").lock_path("p")
    assert path.parent == tmp_path / "state" / "pdt" / "locks"
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.name.startswith(localfs.boot_id()[:8])
    assert path.name.endswith("-p.lock")
    assert Store(network / "other").lock_path("p") != path
    assert Store(network / ".pdt").lock_path("q") != path
    (tmp_path / "link").symlink_to(network)
    assert Store(tmp_path / "link" / ".pdt").lock_path("p") == path


def test_the_lock_of_a_store_that_cannot_lock_lies_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lockf = fcntl.lockf

    def refuse(file: Any, command: int) -> None:
        descriptor = file if isinstance(file, int) else file.fileno()
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith(os.fspath(tmp_path / ".pdt")):
            raise OSError(37, "No locks available")
        lockf(file, command)

    monkeypatch.setenv("XDG_STATE_HOME", os.fspath(tmp_path / "state"))
    monkeypatch.setattr(fcntl, "lockf", refuse)
    path = Store(tmp_path / ".pdt").lock_path("p")
    assert path.parent == tmp_path / "state" / "pdt" / "locks"
    assert os.listdir(tmp_path / ".pdt") == [".gitignore"]
    ControllerLock(path).acquire()
    with pytest.raises(pdt.BackendError, match=r"cannot lock .*No locks available\nfix: put the store on a local disk"):
        ControllerLock(tmp_path / ".pdt" / "p.lock").acquire()


def test_a_machine_on_which_nothing_can_be_locked_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setenv("XDG_STATE_HOME", os.fspath(tmp_path / "state"))
    monkeypatch.setattr(fcntl, "lockf", refuse)
    with pytest.raises(pdt.BackendError, match="set XDG_STATE_HOME to a directory on one"):
        local_state("locks")


# The host.


def test_a_local_store_belongs_to_no_host(tmp_path: Path) -> None:
    Store(tmp_path / ".pdt").claim_host()
    assert not (tmp_path / ".pdt").exists()


def test_a_store_on_a_network_belongs_to_the_host_that_was_first(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        Store(network / ".pdt").claim_host()
    owner = network / ".pdt" / "host.json"
    assert json.loads(owner.read_text())["machine"] == store._machine_id()
    owner.write_text('{"host": "node7", "machine": "another"}')
    with pytest.raises(pdt.HeldError, match="is used by host 'node7'") as caught:
        Store(network / ".pdt").claim_host()
    assert caught.value.exit_code == 6
    assert f"remove {owner}" in str(caught.value)
    owner.unlink()
    Store(network / ".pdt").claim_host()


@pytest.mark.parametrize("content", ["", "nonsense", "[]", "{}", '{"host": "x"}', "5"])
def test_an_unreadable_owner_is_not_taken_for_this_host(network: Path, content: str) -> None:
    (network / ".pdt").mkdir()
    (network / ".pdt" / "host.json").write_text(content)
    with pytest.raises(pdt.HeldError, match="does not say which host uses the store"):
        Store(network / ".pdt").claim_host()


# The lock.


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
        holder.send_signal(signal.SIGKILL)
        holder.wait()
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
from pdt.store import ControllerLock
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
