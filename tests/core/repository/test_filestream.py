"""Streams of files that are large, far away, cancelled or left open."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import subprocess
import sys
import threading
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pdt
from pdt import localfs
from pdt.repository.filestream import INLINE_BYTES, SMALL, FileReader, FileWriter
from pdt.task.blocking import BlockingView, complete

MEGABYTE = 1024 * 1024


@pytest.fixture(params=["local", "network"])
def inline(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "local")


@pytest.fixture(params=["unnamed", "named"], autouse=True)
def drafts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "named":
        monkeypatch.setattr(localfs, "_UNNAMED", 0)


def open_files() -> set[str]:
    """Return what this process has open, by descriptor."""
    return set(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, INLINE_BYTES - 1, INLINE_BYTES, INLINE_BYTES + 1])
async def test_sizes_around_the_limits(tmp_path: Path, inline: bool, size: int) -> None:
    path = os.fspath(tmp_path / "f")
    data = os.urandom(size)
    async with FileWriter(path, inline) as writer:
        await writer.write(data)
    async with FileReader(path, inline) as reader:
        assert await reader.read() == data
        assert await reader.read() == b""
    async with FileReader(path, inline) as reader:
        pieces = [await reader.read(n) for n in (1, SMALL, INLINE_BYTES + 1, 5)]
    assert b"".join(pieces) == data
    assert [len(piece) for piece in pieces[:2]] == [min(1, size), max(0, min(SMALL, size - 1))]


async def test_much_is_written_with_little_memory(tmp_path: Path, inline: bool) -> None:
    path = os.fspath(tmp_path / "f")
    block = os.urandom(300_000)
    tracemalloc.start()
    try:
        async with FileWriter(path, inline) as writer:
            for _ in range(100):
                await writer.write(block)
        async with FileReader(path, inline) as reader, FileWriter(f"{path}2", inline) as copy:
            await pdt.async_copyfile(reader, copy)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert os.path.getsize(path) == os.path.getsize(f"{path}2") == 30_000_000
    assert peak < 8 * MEGABYTE


async def test_nothing_of_a_large_file_shows_before_it_is_complete(tmp_path: Path, inline: bool) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    async with FileWriter(os.fspath(path), inline) as writer:
        for _ in range(5):
            await writer.write(bytes(MEGABYTE))
            assert path.read_text() == "old"
            assert [name for name in os.listdir(tmp_path) if not name.startswith(localfs.TEMPORARY_PREFIX)] == ["f"]
    assert path.read_bytes() == bytes(5 * MEGABYTE)
    assert os.listdir(tmp_path) == ["f"]


async def test_a_reader_keeps_the_file_that_it_opened(tmp_path: Path, inline: bool) -> None:
    path = os.fspath(tmp_path / "f")
    localfs.put_bytes(path, b"1" * 3 * MEGABYTE)
    async with FileReader(path, inline) as reader:
        first = await reader.read(MEGABYTE)
        localfs.put_bytes(path, b"2" * 3 * MEGABYTE)
        assert first + await reader.read() == b"1" * 3 * MEGABYTE


async def test_a_failed_write_is_never_published_even_if_it_is_swallowed(
    tmp_path: Path, inline: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    real, calls = localfs.write_all, []

    def fail_once(descriptor: int, data: Any) -> None:
        calls.append(len(data))
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(descriptor, data)

    monkeypatch.setattr(localfs, "write_all", fail_once)

    async def write_on_and_on() -> None:
        async with FileWriter(os.fspath(path), inline) as writer:
            for _ in range(3):
                with contextlib.suppress(OSError, ValueError):  # a body that does not care
                    await writer.write(bytes(2 * MEGABYTE))

    with pytest.raises(OSError, match="No space left") as caught:
        await write_on_and_on()
    assert len(calls) == 2
    assert caught.value.filename == os.fspath(path)
    assert os.listdir(tmp_path) == ["f"]
    assert path.read_text() == "old"


class Gate:
    """Stops a function in its thread until it is told to go on."""

    def __init__(self, func: Callable[..., Any], before: bool = True) -> None:
        self.func = func
        self.before = before
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self.done = threading.Event()

    def __call__(self, *args: Any, **options: Any) -> Any:
        try:
            if not self.before:
                result = self.func(*args, **options)
            self.reached.set()
            assert self.go_on.wait(10)
            return self.func(*args, **options) if self.before else result
        finally:
            self.done.set()

    async def wait_until_reached(self) -> None:
        await asyncio.to_thread(self.reached.wait, 10)

    async def open(self) -> None:
        self.go_on.set()
        await asyncio.to_thread(self.done.wait, 10)


async def wait_for(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  it is a thread that brings it about
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("step", ["write", "close"])
async def test_what_is_cancelled_in_the_thread_is_not_published_later(
    tmp_path: Path, inline: bool, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    before = open_files()
    real, gate = localfs.write_all, Gate(localfs.write_all)
    monkeypatch.setattr(localfs, "write_all", lambda fd, data: (gate if len(data) > MEGABYTE else real)(fd, data))

    async def write() -> None:
        async with FileWriter(os.fspath(path), inline) as writer:
            await writer.write(bytes(MEGABYTE))
            if step == "write":
                await writer.write(bytes(2 * MEGABYTE))
            else:
                writer._blocks.append(bytes(2 * MEGABYTE))
                writer._inline = False  # a large rest is written by close() only where every rest is

    task = asyncio.get_running_loop().create_task(write())
    await gate.wait_until_reached()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    path.write_text("newer")
    await gate.open()
    await wait_for(lambda: open_files() <= before and os.listdir(tmp_path) == ["f"])
    assert path.read_text() == "newer"


async def test_a_cancelled_read_takes_nothing_from_whoever_gets_its_descriptor(
    tmp_path: Path, inline: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").write_bytes(b"1" * 3 * MEGABYTE)
    (tmp_path / "two").write_bytes(b"2" * 3 * MEGABYTE)
    before = open_files()
    real, gate = os.read, Gate(os.read)
    patched: list[Callable[..., bytes]] = [gate]
    monkeypatch.setattr(
        os, "read", lambda *args: (patched[0] if threading.current_thread().name.startswith("pdt") else real)(*args)
    )
    one = await FileReader(os.fspath(tmp_path / "one"), inline)
    task = asyncio.get_running_loop().create_task(one.read())
    await gate.wait_until_reached()
    patched[0] = real
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await one.close()
    async with FileReader(os.fspath(tmp_path / "two"), inline) as two:
        await gate.open()
        assert await two.read() == b"2" * 3 * MEGABYTE
    await wait_for(lambda: open_files() <= before)


async def test_a_cancelled_open_leaves_no_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_bytes(bytes(SMALL + 1))
    before = open_files()
    gate = Gate(os.open, before=False)
    monkeypatch.setattr(os, "open", gate)
    task = asyncio.get_running_loop().create_task(FileReader(os.fspath(tmp_path / "f"), inline=False).open())
    await gate.wait_until_reached()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        _ = await task
    await gate.open()
    monkeypatch.undo()
    del task
    await wait_for(lambda: bool(gc.collect() + 1) and open_files() <= before)


async def test_abandoning_on_a_dead_file_system_ends_in_time(
    tmp_path: Path, drafts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(os.close)

    async def write() -> None:
        async with FileWriter(os.fspath(tmp_path / "f"), inline=False) as writer:
            await writer.write(bytes(2 * MEGABYTE))
            monkeypatch.setattr(localfs, "REMOTE_DEADLINE", 0.01)
            monkeypatch.setattr(os, "close", gate)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write()
    monkeypatch.undo()
    await gate.open()
    await wait_for(lambda: os.listdir(tmp_path) == [])


@pytest.mark.parametrize("size", [10, 3 * MEGABYTE])
async def test_what_is_left_open_is_abandoned_without_a_warning(tmp_path: Path, inline: bool, size: int) -> None:
    (tmp_path / "f").write_bytes(bytes(size))
    before = open_files()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reader = await FileReader(os.fspath(tmp_path / "f"), inline)
        await reader.read(1)
        writer = await FileWriter(os.fspath(tmp_path / "g"), inline)
        await writer.write(bytes(size))
        never = [FileReader(os.fspath(tmp_path / "f"), inline)]
        del reader, writer, never
        gc.collect()
    assert os.listdir(tmp_path) == ["f"]
    assert open_files() <= before


async def test_thousands_of_files_do_not_run_out_of_descriptors(tmp_path: Path, inline: bool) -> None:
    before = open_files()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(before) + 20, hard))
    try:
        repo = pdt.FileRepository(tmp_path)
        for number in range(200):
            async with repo.open(f"j{number}", "w") as writer:
                await writer.write("x")
            async with repo.open(f"j{number}") as reader:
                assert await reader.read() == "x"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert open_files() <= before


def test_a_plain_function_reads_and_writes_megabytes_without_an_event_loop(tmp_path: Path) -> None:
    repo = BlockingView(pdt.FileRepository(tmp_path), complete)
    with repo.open("a", "wb") as writer:
        for _ in range(5):
            writer.write(bytes(MEGABYTE))
    with repo.open("a", "rb") as reader:
        assert len(reader.read(2 * MEGABYTE)) == 2 * MEGABYTE
        assert len(reader.read()) == 3 * MEGABYTE


async def test_files_that_the_system_makes_as_they_are_read() -> None:
    async with FileReader("/proc/self/status", inline=True) as reader:
        assert b"Name:" in await reader.read()


async def test_a_file_that_grows_while_it_is_read(tmp_path: Path, inline: bool) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"1" * (SMALL + 10))
    async with FileReader(os.fspath(path), inline) as reader:
        assert await reader.read(10) == b"1" * 10
        with path.open("ab") as file:
            file.write(b"2" * 100)
        assert await reader.read() == b"1" * SMALL + b"2" * 100


FIFO_SCRIPT = """
import asyncio, os, sys, pdt
async def main():
    os.mkfifo(os.path.join(sys.argv[1], "a"))
    try:
        await pdt.FileRepository(sys.argv[1]).open("a", "rb")
    except FileNotFoundError as error:
        print(error)
    async with pdt.FileRepository(sys.argv[1]).open("a", "wb") as writer:
        await writer.write(b"x")
    print(os.listdir(sys.argv[1]), open(os.path.join(sys.argv[1], "a")).read())
asyncio.run(main())
"""


def test_a_pipe_holds_nobody_up(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", FIFO_SCRIPT, tmp_path], capture_output=True, text=True, timeout=20)
    assert ran.stdout == f"[Errno 2] Not a regular file: '{tmp_path}/a'\n['a'] x\n", ran.stderr
