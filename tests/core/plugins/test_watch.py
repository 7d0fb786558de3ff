"""The watch drives coroutines as await does, and its thread is gone when nothing is called."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pdt.plugins.watch import Watch


def ignore(label: str, place: str) -> None:
    """Report nothing."""


def watchers() -> list[threading.Thread]:
    """Return the threads of watches."""
    return [thread for thread in threading.enumerate() if thread.name == "pdt-plugin-watch"]


async def test_a_driven_coroutine_sees_what_await_would_give() -> None:
    seen: list[object] = []

    @asynccontextmanager
    async def scope() -> AsyncIterator[str]:
        yield "entered"
        seen.append("left")

    async def body() -> None:
        async with asyncio.timeout(5), scope() as entered:
            seen.append(entered)
            future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(future.set_result, "answer")
            seen.append(await future)
            try:
                async with asyncio.timeout(0):
                    await asyncio.sleep(5)
            except TimeoutError:
                seen.append("late")
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(0))

    await Watch(5, ignore).steps("x", body())
    assert seen == ["entered", "answer", "late", "left"]


async def test_what_it_raises_comes_out() -> None:
    async def body() -> None:
        await asyncio.sleep(0)
        raise ValueError("out")

    with pytest.raises(ValueError, match="out"):
        await Watch(5, ignore).steps("x", body())


def test_a_coroutine_that_is_left_is_closed() -> None:
    closed: list[bool] = []

    async def body() -> None:
        try:
            await asyncio.sleep(1)
        finally:
            closed.append(True)

    async def outer() -> None:
        await Watch(5, ignore).steps("x", body())

    left = outer()
    with pytest.raises(RuntimeError, match="no running event loop"):
        left.send(None)
    left.close()
    assert closed == [True]


def test_the_thread_ends_when_nothing_is_called_and_comes_back() -> None:
    reports: list[str] = []
    reported = threading.Event()

    def report(label: str, place: str) -> None:
        reports.append(label)
        reported.set()

    watch = Watch(0.02, report)
    before = set(watchers())
    watch.begin("short")
    watch.end()
    (thread,) = set(watchers()) - before
    thread.join(10)
    assert not thread.is_alive()
    watch.begin("long")
    assert reported.wait(10)
    watch.end()
    assert reports == ["long"]
    for thread in set(watchers()) - before:
        thread.join(10)
