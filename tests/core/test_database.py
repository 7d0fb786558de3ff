"""SQLite files under several threads and processes, and what is said of one that cannot be used."""

from __future__ import annotations

import os
import pickle
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import pdt
from pdt import database as database_module
from pdt.database import Database
from tests.support.ordinary_user import AsOrdinaryUser

SCHEMA = ("CREATE TABLE IF NOT EXISTS t (a INTEGER)",)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sub" / "t.sqlite"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(path, SCHEMA)
    yield database
    database.close()


def run(script: str, *arguments: object) -> str:
    ran = subprocess.run([sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return ran.stdout


def test_is_made_when_it_is_first_used(database: Database, path: Path) -> None:
    assert not path.parent.exists()
    assert database.query("SELECT * FROM t") == []
    assert path.exists()


def test_is_opened_again_after_it_was_closed(database: Database) -> None:
    assert database.change("INSERT INTO t VALUES (?)", 1) == 1
    database.close()
    database.close()
    assert database.query("SELECT a FROM t") == [(1,)]
    assert database.change("DELETE FROM t WHERE a = ?", 2) == 0


def test_many_rows_are_one_transaction(database: Database) -> None:
    database.change_many("INSERT INTO t VALUES (?)", [(1,), (2,)])
    with pytest.raises(sqlite3.ProgrammingError):
        database.change_many("INSERT INTO t VALUES (?)", [(3,), (4, 5)])
    assert database.query("SELECT a FROM t ORDER BY a") == [(1,), (2,)]
    database.change_many("INSERT INTO t VALUES (?)", [(6,)])
    assert len(database.query("SELECT a FROM t")) == 3


@pytest.mark.parametrize(("kind", "mode"), [("ext4", "wal"), ("nfs4", "delete")])
def test_the_journal_suits_the_file_system(
    path: Path, kind: str, mode: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mounts").write_text(f"x / {kind} rw 0 0\n")
    monkeypatch.setattr("pdt.mounts.MOUNTS", os.fspath(tmp_path / "mounts"))
    database = Database(path, SCHEMA)
    assert database.query("PRAGMA journal_mode") == [(mode,)]
    # Full: a rollback journal that is not synced may leave a broken file behind.
    assert database.query("PRAGMA synchronous") == [(1 if mode == "wal" else 2,)]
    database.close()


def test_a_durable_one_syncs_each_commit(path: Path) -> None:
    database = Database(path, SCHEMA, durable=True)
    assert database.query("PRAGMA synchronous") == [(2,)]
    database.close()


def test_threads_take_turns(database: Database) -> None:
    def work(number: int) -> None:
        for _ in range(50):
            database.change("INSERT INTO t VALUES (?)", number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.query("SELECT count(*) FROM t") == [(400,)]


def test_survives_pickling(database: Database) -> None:
    database.change("INSERT INTO t VALUES (5)")
    other = pickle.loads(pickle.dumps(database))
    assert other.query("SELECT a FROM t") == [(5,)]
    other.close()


FIRST_USE = """
import sys
from pdt.database import Database
sys.stdin.readline()
database = Database(sys.argv[1], ["CREATE TABLE IF NOT EXISTS t (a INTEGER)"])
for number in range(20):
    database.change("INSERT INTO t VALUES (?)", number)
    database.close()
"""


def test_processes_may_all_be_the_first(path: Path) -> None:
    command = [sys.executable, "-c", FIRST_USE, os.fspath(path)]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, text=True, **pipes) for _ in range(6)]  # type: ignore[call-overload]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate()
        assert errors == ""
        assert process.returncode == 0
    database = Database(path, SCHEMA)
    assert database.query("SELECT count(*) FROM t") == [(120,)]
    database.close()


FORK = """
import os, sys, threading
from pdt.database import Database
path, threads = sys.argv[1], sys.argv[2] == "busy"
database = Database(path, ["CREATE TABLE IF NOT EXISTS t (a INTEGER)"])
database.change("INSERT INTO t VALUES (1)")
stop = threading.Event()
def busy():
    while not stop.is_set():
        database.change("INSERT INTO t VALUES (2)")
if threads:
    threading.Thread(target=busy).start()
readable, writable = os.pipe()
children = []
for _ in range(5):
    child = os.fork()
    if child == 0:
        # Nothing of the parent's is open here, and the parent closing its own does not pull the file away.
        assert not any("t.sqlite" in os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd"))
        database.change("INSERT INTO t VALUES (3)")
        os.read(readable, 1)
        database.change("INSERT INTO t VALUES (4)")
        database.close()
        os._exit(0)
    children.append(child)
database.change("INSERT INTO t VALUES (1)")
stop.set()
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join()
database.close()
os.write(writable, b"12345")
for child in children:
    assert os.waitpid(child, 0)[1] == 0
print(*[n for (n,) in database.query("SELECT count(*) FROM t WHERE a != 2 GROUP BY a ORDER BY a")])
print(database.query("PRAGMA integrity_check")[0][0])
"""


@pytest.mark.parametrize("kind", ["quiet", "busy"])
def test_a_forked_child_and_its_parent_do_not_disturb_each_other(path: Path, kind: str) -> None:
    assert run(f"import warnings; warnings.simplefilter('ignore')\n{FORK}", path, kind) == "2 5 5\nok\n"


WRITER_HELD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
"""


def test_waits_for_another_writer_and_then_says_so(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.change("INSERT INTO t VALUES (1)")
    database.close()
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT", 0.1)
    command = [sys.executable, "-c", WRITER_HELD, os.fspath(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()
        assert database.query("SELECT a FROM t") == [(1,)]
        for change in (
            lambda: database.change("INSERT INTO t VALUES (2)"),
            lambda: database.change_many("INSERT INTO t VALUES (?)", [(2,)]),
        ):
            with pytest.raises(pdt.BackendError, match=r"t.sqlite: database is locked\nfix: another process") as caught:
                change()
            assert "for 0.1 s" in str(caught.value)
        other.stdin.write("\n")
    database.change("INSERT INTO t VALUES (2)")
    assert database.query("SELECT count(*) FROM t") == [(2,)]


def test_waits_also_where_sqlite_does_not(database: Database, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # While another writes, the change to a write-ahead log is refused at once, whatever the timeout.
    path.parent.mkdir()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TABLE t (a INTEGER)")
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO t VALUES (5)")
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        other.execute("COMMIT")
        other.close()

    with monkeypatch.context() as patched:
        patched.setattr("pdt.database.time.sleep", pause)
        assert database.query("SELECT a FROM t") == [(5,)]
    assert len(pauses) == 1
    assert database.query("PRAGMA journal_mode") == [("wal",)]


def test_what_is_no_database_is_named_with_a_fix(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is not a database, and it is long enough to be none" * 100)
    with pytest.raises(pdt.BackendError, match=r"t.sqlite: file is not a database\nfix: restore it from a copy"):
        Database(path, SCHEMA).query("SELECT 1")


def test_a_damaged_database_is_named_with_a_fix(database: Database, path: Path) -> None:
    database.change_many("INSERT INTO t VALUES (?)", [(number,) for number in range(5000)])
    database.close()
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(pdt.BackendError, match=r"t.sqlite: .*malformed\nfix: restore it from a copy"):
        database.query("SELECT * FROM t")


def test_where_it_cannot_be_made_is_named_with_a_fix(tmp_path: Path, as_ordinary_user: AsOrdinaryUser) -> None:
    (tmp_path / "directory.sqlite").mkdir()
    (tmp_path / "file").touch()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    for path in (
        tmp_path / "directory.sqlite",
        tmp_path / "file" / "t.sqlite",
        closed / "t.sqlite",
        closed / "x" / "t",
    ):
        with pytest.raises(pdt.BackendError, match="check that its directory exists, that you own it") as caught:
            as_ordinary_user(lambda path=path: Database(path, SCHEMA).query("SELECT 1"))  # type: ignore[misc]
        assert os.fspath(path) in str(caught.value)
