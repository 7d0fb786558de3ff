"""Bounded fan-out."""

from __future__ import annotations

import asyncio

import pytest

from pdt.concurrency import map_bounded
from pdt.task.blocking import complete


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 100])
async def test_results_are_in_the_order_of_the_arguments(count: int, inline: bool) -> None:
    async def uneven(number: int) -> int:
        for _ in range(number % 5):
            await asyncio.sleep(0)
        return await double(number)

    assert await map_bounded(uneven, iter(range(count)), inline=inline) == [2 * number for number in range(count)]


async def test_no_more_calls_than_the_limit_are_under_way() -> None:
    running, most = 0, 0

    async def work(number: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1

    await map_bounded(work, range(50), limit=7)
    assert most == 7
    await map_bounded(work, range(50))
    assert most == 16


async def test_the_first_failure_cancels_the_others_and_keeps_its_cause() -> None:
    ended = []

    async def work(number: int) -> None:
        if number == 3:
            raise ValueError("three") from OSError("the cause")
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append(number)
            raise

    with pytest.raises(ValueError, match="three") as caught:
        await map_bounded(work, range(10))
    assert isinstance(caught.value.__cause__, OSError)
    assert sorted(ended) == [0, 1, 2, 4, 5, 6, 7, 8, 9]


async def test_cancellation_reaches_the_calls() -> None:
    started, ended = asyncio.Event(), []

    async def work(number: int) -> None:
        started.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(number)

    task = asyncio.get_running_loop().create_task(map_bounded(work, range(3)))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [0, 1, 2]


def test_calls_that_never_wait_need_no_event_loop() -> None:
    async def work(number: int) -> int:
        return number + 1

    assert complete(map_bounded(work, range(3), inline=True)) == [1, 2, 3]
    assert complete(map_bounded(work, [5])) == [6]
