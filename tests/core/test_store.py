"""The store's directory, and the host that may use it."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest

import pdt
from pdt import localfs, store
from pdt.controllers import ControllerLock
from pdt.store import Store, local_state


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
