"""Files: replaced as a whole, made once, swept, and the threads in which slow ones are waited for."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import pdt
from pdt import localfs
from tests.support.ordinary_user import AsOrdinaryUser

NAMED = [pytest.param(False, id="unnamed"), pytest.param(True, id="named")]


@pytest.fixture(params=NAMED)
def drafts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Make drafts unnamed files, and then named ones, as on file systems that have no others."""
    if request.param:
        monkeypatch.setattr(localfs, "_UNNAMED", 0)
    return bool(request.param)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


# Reading.


def test_reads_all_or_the_beginning(tmp_path: Path) -> None:
    data = os.urandom(300_000)
    (tmp_path / "f").write_bytes(data)
    path = os.fspath(tmp_path / "f")
    assert localfs.read_bytes(path) == data
    assert localfs.read_bytes(path, 100_001) == data[:100_001]
    assert localfs.read_bytes(path, 0) == b""


def test_only_regular_files_are_read(tmp_path: Path, fifo: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(tmp_path / "socket"))
        for path in (tmp_path, fifo, tmp_path / "socket", Path("/dev/zero"), tmp_path / "missing"):
            with pytest.raises(FileNotFoundError) as caught:
                localfs.read_bytes(os.fspath(path))
            assert caught.value.filename == os.fspath(path)


# Writing.


def test_a_draft_is_seen_when_it_is_published(tmp_path: Path, drafts: bool) -> None:
    target = tmp_path / "f"
    for data in (b"first", b"second"):
        draft = localfs.Draft(os.fspath(target))
        draft.write(data)
        assert not target.exists() or target.read_bytes() == b"first"
        assert [name for name in names(tmp_path) if not name.startswith(localfs.TEMPORARY_PREFIX)] == (
            [] if data == b"first" else ["f"]
        )
        draft.publish()
        assert target.read_bytes() == data
    assert names(tmp_path) == ["f"]


def test_an_abandoned_draft_leaves_nothing(tmp_path: Path, drafts: bool) -> None:
    (tmp_path / "f").write_text("old")
    draft = localfs.Draft(os.fspath(tmp_path / "f"))
    draft.write(b"new")
    draft.abandon()
    draft.abandon()
    assert names(tmp_path) == ["f"]
    assert (tmp_path / "f").read_text() == "old"


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_modes_are_those_of_any_new_file(tmp_path: Path, drafts: bool, umask: int) -> None:
    before = os.umask(umask)
    try:
        localfs.put_bytes(os.fspath(tmp_path / "f"), b"1")
        localfs.put_bytes(os.fspath(tmp_path / "f"), b"2")
    finally:
        os.umask(before)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_link_is_replaced_and_not_followed(tmp_path: Path, drafts: bool) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "f").symlink_to("victim")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("f", "dangling"):
        localfs.put_bytes(os.fspath(tmp_path / name), b"new")
        assert not (tmp_path / name).is_symlink()
    assert (tmp_path / "victim").read_text() == "precious"
    assert names(tmp_path) == ["dangling", "f", "victim"]


def test_what_cannot_be_replaced_stays_and_nothing_is_left(tmp_path: Path, drafts: bool) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(IsADirectoryError):
        localfs.put_bytes(os.fspath(tmp_path / "directory"), b"x")
    with pytest.raises(FileNotFoundError):
        localfs.put_bytes(os.fspath(tmp_path / "missing" / "f"), b"x")
    assert names(tmp_path) == ["directory"]


def test_a_directory_that_one_may_not_write_to(tmp_path: Path, drafts: bool, as_ordinary_user: AsOrdinaryUser) -> None:
    (tmp_path / "f").write_text("old")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError) as caught:
            as_ordinary_user(lambda: localfs.put_bytes(os.fspath(tmp_path / "f"), b"new"))
        assert os.fspath(tmp_path) in str(caught.value)
    finally:
        tmp_path.chmod(0o700)
    assert (tmp_path / "f").read_text() == "old"


def test_what_was_put_in_place_is_told(tmp_path: Path, drafts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(localfs, "on_written", [told.append])
    path = os.fspath(tmp_path / "f")
    localfs.put_bytes(path, b"1")
    localfs.put_bytes(path, b"2")
    localfs.Draft(path).abandon()
    assert told == [path, path]


def in_another_process(script: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


LIMITED = """
import resource, signal, sys
from pdt import localfs
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
if sys.argv[2] == "named":
    localfs._UNNAMED = 0
try:
    localfs.put_bytes(sys.argv[1], bytes(300_000))
except OSError as error:
    print(error)
"""


@pytest.mark.parametrize("kind", ["named", "unnamed"])
def test_a_write_that_stops_half_way_keeps_the_old_content(tmp_path: Path, kind: str) -> None:
    (tmp_path / "f").write_text("old")
    for name in ("f", "new"):
        ran = in_another_process(LIMITED, tmp_path / name, kind)
        assert "File too large" in ran.stdout, ran.stderr
        assert os.fspath(tmp_path / name) in ran.stdout
    assert names(tmp_path) == ["f"]
    assert (tmp_path / "f").read_text() == "old"


FULL = """
import os, sys
from pdt import localfs
if sys.argv[2] == "named":
    localfs._UNNAMED = 0
target = os.path.join(sys.argv[1], "f")
localfs.put_bytes(target, b"old")
try:
    localfs.put_bytes(target, bytes(3_000_000))
except OSError as error:
    print(error)
print(os.listdir(sys.argv[1]), localfs.read_bytes(target))
"""


@pytest.mark.parametrize("kind", ["named", "unnamed"])
def test_a_full_disk_keeps_the_old_content(tmp_path: Path, kind: str) -> None:
    mount = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" -c "$3" "$1" "$4"'
    private = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    allowed = subprocess.run([*private, "sh", "-c", f"mount -t tmpfs tmpfs '{tmp_path}'"], capture_output=True)
    if allowed.returncode:
        pytest.skip("may not mount a file system of its own here")
    command = [*private, "sh", "-c", mount, "sh", os.fspath(tmp_path), sys.executable, FULL, kind]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.stdout.splitlines() == [
        f"[Errno 28] No space left on device: '{tmp_path}/f'",
        "['f'] b'old'",
    ], ran.stderr


# Making once.


def test_a_file_is_inserted_once(tmp_path: Path) -> None:
    path = os.fspath(tmp_path / "a" / "b" / "f")
    assert localfs.insert_bytes(path, b"first")
    assert not localfs.insert_bytes(path, b"second")
    assert localfs.read_bytes(path) == b"first"
    assert names(tmp_path / "a" / "b") == ["f"]


def test_where_there_are_no_hard_links_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(pdt.BackendError, match=r"has no hard links.*\nfix: put it on another file system"):
        localfs.insert_bytes(os.fspath(tmp_path / "f"), b"x")
    assert names(tmp_path) == []


# Sweeping.


def dead_process() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_temporaries_of_dead_writers_are_swept(tmp_path: Path) -> None:
    mine = Path(localfs.temporary_path(os.fspath(tmp_path))).name
    origin = localfs.process_origin()
    dead = f"{localfs.TEMPORARY_PREFIX}{origin}-{dead_process()}-abc"
    foreign = f"{localfs.TEMPORARY_PREFIX}otherboot-{dead_process()}-abc"
    old = f"{localfs.TEMPORARY_PREFIX}otherboot-1-old"
    odd = f"{localfs.TEMPORARY_PREFIX}odd"
    gone = f"{localfs.TEMPORARY_PREFIX}{origin}-{dead_process()}-gone"
    directory = f"{localfs.TEMPORARY_PREFIX}{origin}-{dead_process()}-directory"
    for name in (mine, dead, foreign, old, odd):
        (tmp_path / name).write_text("x")
    (tmp_path / directory).mkdir()
    yesterday = time.time() - localfs.ABANDONED_AFTER - 1
    os.utime(tmp_path / old, (yesterday, yesterday))
    localfs.sweep_temporaries(os.fspath(tmp_path), [mine, dead, foreign, old, odd, gone, directory])
    assert names(tmp_path) == sorted([mine, foreign, odd, directory])


def test_temporaries_that_one_may_not_remove_do_no_harm(tmp_path: Path, as_ordinary_user: AsOrdinaryUser) -> None:
    name = f"{localfs.TEMPORARY_PREFIX}{localfs.process_origin()}-{dead_process()}-abc"
    (tmp_path / name).write_text("x")
    tmp_path.chmod(0o500)
    try:
        as_ordinary_user(lambda: localfs.sweep_temporaries(os.fspath(tmp_path), [name]))
    finally:
        tmp_path.chmod(0o700)
    assert names(tmp_path) == [name]


def test_another_container_is_another_origin() -> None:
    private = ["unshare", "--pid", "--fork", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    script = "from pdt import localfs; print(localfs.process_origin())"
    ran = subprocess.run([*private, sys.executable, "-c", script], capture_output=True, text=True)
    if ran.returncode:
        pytest.skip("may not make a process namespace of its own here")
    assert in_another_process(script).stdout.strip() == localfs.process_origin()
    # Its /proc is still ours, but the kernel says that its numbers mean other processes.
    assert ran.stdout.strip() != localfs.process_origin()


# Durability.


def test_syncing_forgives_what_is_gone_and_tells_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    localfs.sync_path(os.fspath(tmp_path / "f"))
    localfs.sync_path(os.fspath(tmp_path))
    localfs.sync_path(os.fspath(tmp_path / "missing"))
    localfs.sync_filesystem(os.fspath(tmp_path))
    with pytest.raises(FileNotFoundError):
        localfs.sync_filesystem(os.fspath(tmp_path / "missing"))


def test_a_failed_sync_is_not_taken_for_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(localfs, "_libc_syncfs", lambda: fail)
    with pytest.raises(OSError, match="Input/output error") as caught:
        localfs.sync_filesystem(os.fspath(tmp_path))
    assert caught.value.filename == os.fspath(tmp_path)


# Threads.


async def test_slow_work_goes_on_beside_the_loop() -> None:
    started, release = threading.Event(), threading.Event()

    def wait(what: str) -> str:
        started.set()
        release.wait()
        return what

    task = asyncio.get_running_loop().create_task(localfs.in_thread(wait, "done"))
    while not started.is_set():  # noqa: ASYNC110  it is a thread that sets it
        await asyncio.sleep(0)
    release.set()
    assert await task == "done"


async def test_exceptions_come_out_of_the_thread() -> None:
    with pytest.raises(FileNotFoundError):
        await localfs.in_thread(os.stat, "/nowhere")
    with pytest.raises(TimeoutError, match="the server's own"):
        await localfs.in_thread(_fail, TimeoutError(errno.ETIMEDOUT, "the server's own"))


def _fail(error: Exception) -> None:
    raise error


async def test_a_dead_file_system_is_given_up_and_named(fifo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(localfs, "REMOTE_DEADLINE", 0.05)
    with pytest.raises(pdt.BackendError) as caught:
        await localfs.in_thread(_open_for_ever, os.fspath(fifo))
    assert str(caught.value) == (
        f"file system did not answer within 0.05 s: open_for_ever {fifo}\n"
        "fix: check that the file system is mounted and its server is up"
    )
    os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))  # lets the thread go


def _open_for_ever(path: str) -> None:
    with open(path, "rb"):
        pass


async def test_much_data_has_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(localfs, "REMOTE_DEADLINE", 0.01)
    release = threading.Event()
    asyncio.get_running_loop().call_later(0.1, release.set)
    assert await localfs.in_thread(release.wait, size=100 * localfs.SLOWEST)


HANGING = """
import asyncio, os, sys
from pdt import localfs
localfs.REMOTE_DEADLINE = 0.05
async def main():
    async with asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(hang())
    print(await localfs.in_thread(os.path.basename, "a/b"))
async def hang():
    try:
        await localfs.in_thread(open, sys.argv[1], "rb")
    except Exception as error:
        assert "did not answer" in str(error)
asyncio.run(main())
"""


def test_hanging_threads_neither_stop_others_nor_keep_the_process(fifo: Path) -> None:
    ran = in_another_process(HANGING, fifo, timeout=30)
    assert (ran.returncode, ran.stdout) == (0, "b\n"), ran.stderr


def test_without_an_event_loop_it_is_called_at_once() -> None:
    from pdt.task.blocking import complete

    assert complete(localfs.in_thread(threading.get_ident)) == threading.get_ident()
    assert complete(localfs.call(True, len, "abc")) == 3


async def test_nobody_waits_any_more_when_the_answer_comes(fifo: Path) -> None:
    task = asyncio.get_running_loop().create_task(localfs.in_thread(_open_for_ever, os.fspath(fifo)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))
    assert await localfs.in_thread(len, "abc") == 3
