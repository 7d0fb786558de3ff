"""Priorities in a running pipeline: strict, whatever bodies do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

import pdt
from tests.core.engine.samples import amount, counting_task, jobs_of, memory, pipeline_of, run


def noting(order: list[tuple[str, str]], name: str, seconds: float | None) -> Callable[[str], object]:
    async def body(job: str) -> None:
        order.append((name, job))
        if seconds is not None:
            await asyncio.sleep(seconds)

    return body


@pytest.mark.parametrize("seconds", [None, 0.002], ids=["bodies that never wait", "bodies that wait"])
async def test_no_job_starts_before_all_of_a_higher_priority(seconds: float | None) -> None:
    order: list[tuple[str, str]] = []
    tasks = [
        counting_task(name, memory(*jobs_of(count)), noting(order, name, seconds))[0]
        for name, count in (("low", 40), ("high", 300), ("middle", 150))
    ]
    await run(*tasks, priority=lambda task, job: {"low": -1, "middle": 0, "high": 7}[task])
    assert [name for name, _ in order] == ["high"] * 300 + ["middle"] * 150 + ["low"] * 40
    assert [job for name, job in order if name == "high"] == jobs_of(300)


async def test_priorities_of_jobs_of_one_task_are_strict_too() -> None:
    order: list[tuple[str, str]] = []
    task, _, _ = counting_task("task", memory(*jobs_of(90)), noting(order, "task", 0.001))
    await run(task, priority=lambda task, job: int(job[-1]))
    levels = [int(job[-1]) for _, job in order]
    assert levels == sorted(levels, reverse=True)


async def test_a_lower_priority_starts_as_soon_as_every_higher_one_has_started() -> None:
    """It waits for their start, not for their end."""
    started = asyncio.Event()

    async def waits(job: str) -> None:
        await started.wait()

    async def starts(job: str) -> None:
        started.set()

    high, _, _ = counting_task("high", memory(*jobs_of(10)), waits)
    low, done, _ = counting_task("low", memory("a"), starts)
    await run(high, low, priority=lambda task, job: 5 if task == "high" else 0, deadline=5)
    assert set(done.data) == {"a"}


async def test_priorities_are_strict_on_an_executor() -> None:
    order: list[str] = []

    def body(job: str) -> None:
        order.append(job)

    with ThreadPoolExecutor(1) as threads:
        tasks: list[pdt.Task] = []
        for name, count in (("low", 20), ("high", 600)):
            task = pdt.ExecutorTask(name, threads, memory(), func=body)
            task.link("input", memory(*jobs_of(count, name)), is_input=True)
            tasks.append(task)
        await run(*tasks, priority=lambda task, job: 5 if task == "high" else 0)
    assert order == [*jobs_of(600, "high"), *jobs_of(20, "low")]


async def test_what_becomes_ready_later_with_a_higher_priority_overtakes() -> None:
    """A job of the last stage comes before the waiting ones of the first: finished work is not left lying."""
    order: list[tuple[str, str]] = []
    first, _, _ = counting_task("first", memory(*jobs_of(1500)), noting(order, "first", 0.0005))
    second, _, _ = counting_task("second", memory(*jobs_of(1500)), noting(order, "second", None))
    second.plug(first)
    await run(first, second, priority=lambda task, job: 1 if task == "second" else 0)
    assert order.index(("second", "j00000")) < order.index(("first", "j01499"))


async def test_a_denied_job_lets_lower_priorities_use_what_is_free() -> None:
    quota = pdt.ResourceManager(amount(4, 0, None))
    order: list[tuple[str, str]] = []
    release = asyncio.Event()

    async def hold(job: str) -> None:
        order.append(("holder", job))
        await release.wait()

    async def small(job: str) -> None:
        order.append(("small", job))
        release.set()

    tasks = []
    for name, jobs, cpu, body in (
        ("holder", ["h"], 2, hold),
        ("big", ["b"], 3, noting(order, "big", None)),
        ("small", ["s"], 1, small),
    ):
        task, _, _ = counting_task(
            name,
            memory(*jobs),
            body,
            resource_manager=quota,
            job_resources=amount(cpu, 0),
        )
        tasks.append(task)
    await run(*tasks, priority=lambda task, job: {"holder": 9, "big": 5, "small": 1}[task], deadline=10)
    assert order == [("holder", "h"), ("small", "s"), ("big", "b")]


async def test_a_job_that_waited_too_long_is_kept_room_for() -> None:
    quota = pdt.ResourceManager(amount(2, 0, None))
    order: list[str] = []

    async def small(job: str) -> None:
        order.append("small")
        await asyncio.sleep(0.01)

    async def big(job: str) -> None:
        order.append("big")

    smalls, _, _ = counting_task(
        "small", memory(*jobs_of(200)), small, resource_manager=quota, job_resources=amount(1, 0)
    )
    bigs, _, _ = counting_task("big", memory("b"), big, resource_manager=quota, job_resources=amount(2, 0))
    async with pipeline_of(smalls, bigs, patience=0.2) as pipeline:
        await pipeline.run()
    assert len(order) == 201
    assert 5 < order.index("big") < 150
