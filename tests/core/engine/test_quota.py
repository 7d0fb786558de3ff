"""Quotas on function tasks: never exceeded, never leaked, and used as far as they reach."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pdt
from pdt import Resources
from tests.core.engine.samples import amount, counting_task, jobs_of, memory, pipeline_of, run


class Meter:
    """What bodies use at the moment, and the most that they did."""

    def __init__(self) -> None:
        self.now = self.most = Resources.zero()
        self.concurrent = self.most_concurrent = 0
        self._lock = threading.Lock()

    def take(self, request: Resources) -> None:
        with self._lock:
            self.now += request
            self.concurrent += 1
            self.most_concurrent = max(self.most_concurrent, self.concurrent)
            if self.now.cpu > self.most.cpu:
                self.most = self.now

    def give(self, request: Resources) -> None:
        with self._lock:
            self.now -= request
            self.concurrent -= 1

    def body(self, request: Resources, seconds: float = 0.002) -> Callable[[str], Any]:
        async def use(job: str) -> None:
            self.take(request)
            try:
                await asyncio.sleep(seconds)
                if job.endswith("3"):
                    raise ValueError(job)
            finally:
                self.give(request)

        return use


@settings(max_examples=8, deadline=None)
@given(
    cap=st.integers(1, 6),
    requests=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    parsed=st.booleans(),
)
def test_bodies_never_use_more_than_the_quota(cap: int, requests: list[int], parsed: bool) -> None:
    async def check() -> None:
        quota = pdt.ResourceManager(Resources.parse(cap, "1Gi") if parsed else amount(cap, 100, None))
        meter = Meter()
        tasks = []
        for index, cpu in enumerate(requests):
            request = Resources.parse(cpu, "1Mi") if parsed else amount(cpu, 1)
            task, _, _ = counting_task(
                f"task{index}",
                memory(*jobs_of(25)),
                meter.body(request),
                resource_manager=quota,
                job_resources=request,
            )
            tasks.append(task)
        report = await run(*tasks)
        for task, cpu in zip(tasks, requests, strict=True):
            ended = report.succeeded[task.name] + report.failed[task.name]
            assert ended == (25 if cpu <= cap else 0)
        assert meter.most.cpu <= cap
        assert meter.now.cpu == 0
        usage = await quota.usage()
        assert usage.cpu == usage.mem == 0

    asyncio.run(check())


async def test_a_quota_is_used_to_the_full() -> None:
    quota = pdt.ResourceManager(amount(5, 0, None))
    meter = Meter()
    request = amount(1, 0)
    task, _, _ = counting_task(
        "task", memory(*jobs_of(40)), meter.body(request, 0.01), resource_manager=quota, job_resources=request
    )
    await run(task)
    assert meter.most.cpu == 5


@pytest.mark.parametrize("request_", [amount(0, 0), Resources.parse(0, 0)], ids=["one launch", "no launches"])
async def test_a_quota_on_launches_limits_how_many_run(request_: Resources) -> None:
    quota = pdt.ResourceManager(amount(1, 1, 3))
    meter = Meter()
    task, done, _ = counting_task(
        "task", memory(*jobs_of(30)), meter.body(request_), resource_manager=quota, job_resources=request_
    )
    await run(task, deadline=10)
    assert len(done.data) == 30
    assert meter.most_concurrent == 3


@pytest.mark.parametrize("kind", ["threads", "plain"])
async def test_a_quota_binds_bodies_in_threads(kind: str) -> None:
    quota = pdt.ResourceManager(amount(2, 0, None))
    request = amount(1, 0)
    meter = Meter()

    def body(job: str) -> None:
        meter.take(request)
        time.sleep(0.002)
        meter.give(request)

    done = memory()
    with ThreadPoolExecutor(8) as threads:
        options: dict[str, Any] = {"func": body, "resource_manager": quota, "job_resources": request}
        task: pdt.Task = (
            pdt.ExecutorTask("task", threads, done, **options)
            if kind == "threads"
            else pdt.InProcessSyncTask("task", done, **options)
        )
        task.link("input", memory(*jobs_of(60)), is_input=True)
        await run(task)
    assert len(done.data) == 60
    assert meter.most_concurrent == 2
    assert (await quota.usage()).cpu == 0


@pytest.mark.parametrize("synchronous", [False, True])
@pytest.mark.parametrize("metadata", [False, True])
async def test_whatever_the_settings_every_reservation_is_given_back_once(synchronous: bool, metadata: bool) -> None:
    quota = pdt.ResourceManager(amount(3, 0, None))
    request = amount(1, 0)
    meter = Meter()

    def body(job: str) -> None:
        meter.take(request)
        time.sleep(0.001)
        meter.give(request)

    async def coroutine(job: str) -> None:
        meter.take(request)
        await asyncio.sleep(0.001)
        meter.give(request)

    with ThreadPoolExecutor(8) as threads:
        options: dict[str, Any] = {"resource_manager": quota, "job_resources": request}
        first = pdt.ExecutorTask("first", threads, memory(), func=body, **options)
        second = pdt.InProcessSyncTask("second", memory(), func=coroutine, **options)
        for task in (first, second):
            task.link("input", memory(*jobs_of(60)), is_input=True)
        async with pipeline_of(first, second) as pipeline, asyncio.timeout(20):
            pipeline.settings(synchronous=synchronous, metadata=metadata)
            report = await pipeline.run()
    assert report.launched == {"first": 60, "second": 60}
    assert meter.most_concurrent <= 3
    assert (await quota.usage()).cpu == 0
    assert first.holding == second.holding == 0


async def test_a_blocked_job_gives_its_reservation_back() -> None:
    quota = pdt.ResourceManager(amount(1, 0, None))

    async def body(job: str) -> None:
        raise pdt.errors.CorruptRecordError("store", job, "torn")

    task, _, calls = counting_task(
        "task", memory(*jobs_of(5)), body, resource_manager=quota, job_resources=amount(1, 0)
    )
    await run(task, deadline=10)
    assert len(calls) == 5
    assert (await quota.usage()).cpu == 0


async def test_a_stopped_run_leaves_no_reservation_behind() -> None:
    quota = pdt.ResourceManager(amount(40, 0, None))
    pipeline: pdt.Pipeline

    async def body(job: str) -> None:
        await asyncio.sleep(0.01)
        pipeline.stop()

    task, _, calls = counting_task(
        "task", memory(*jobs_of(300)), body, resource_manager=quota, job_resources=amount(1, 0)
    )
    pipeline = pipeline_of(task)
    async with pipeline:
        await pipeline.run()
    assert 0 < len(calls) < 300
    assert (await quota.usage()).cpu == 0
    assert task.holding == 0


async def test_a_cancelled_run_leaves_no_reservation_behind() -> None:
    quota = pdt.ResourceManager(amount(40, 0, None))
    task, _, calls = counting_task(
        "task",
        memory(*jobs_of(300)),
        lambda job: asyncio.Event().wait(),
        resource_manager=quota,
        job_resources=amount(1, 0),
    )
    async with pipeline_of(task) as pipeline:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await pipeline.run()
    assert calls
    assert (await quota.usage()).cpu == 0
    assert task.holding == 0


async def test_what_runs_on_in_an_executor_goes_on_counting_after_a_cancelled_run() -> None:
    quota = pdt.ResourceManager(amount(2, 0, None))
    request = amount(1, 0)
    meter = Meter()
    release = threading.Event()

    def body(job: str) -> None:
        meter.take(request)
        release.wait(10)
        meter.give(request)

    done = memory()
    with ThreadPoolExecutor(8) as threads:
        task = pdt.ExecutorTask("task", threads, done, func=body, resource_manager=quota, job_resources=request)
        task.link("input", memory(*jobs_of(9)), is_input=True)
        async with pipeline_of(task) as pipeline:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await pipeline.run()
        assert (await quota.usage()).cpu == 2
        async with pipeline_of(task) as pipeline, asyncio.timeout(10), asyncio.TaskGroup() as group:
            group.create_task(pipeline.run())
            await asyncio.sleep(0.2)
            release.set()
    assert len(done.data) == 9
    assert meter.most_concurrent == 2
    assert (await quota.usage()).cpu == 0


async def test_two_managers_limit_their_own_tasks_only() -> None:
    small, large = (pdt.ResourceManager(amount(cap, 0, None)) for cap in (1, 4))
    meters = {}
    tasks = []
    for name, quota in (("small", small), ("large", large)):
        meters[name] = Meter()
        task, _, _ = counting_task(
            name,
            memory(*jobs_of(20)),
            meters[name].body(amount(1, 0)),
            resource_manager=quota,
            job_resources=amount(1, 0),
        )
        tasks.append(task)
    await run(*tasks)
    assert {name: meter.most_concurrent for name, meter in meters.items()} == {"small": 1, "large": 4}


async def test_what_others_use_of_a_quota_counts() -> None:
    """A callback that a stranger registered reports what is in use elsewhere; when it is less, jobs start."""
    quota = pdt.ResourceManager(amount(2, 0, None))
    elsewhere = [2]

    async def reported() -> Resources:
        return amount(elsewhere[0], 0, 0)

    quota.register(reported)
    task, done, _ = counting_task("task", memory("a"), resource_manager=quota, job_resources=amount(1, 0))
    async with pipeline_of(task) as pipeline, asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(pipeline.run())
        await asyncio.sleep(0.15)
        assert not done.data
        verdict = pipeline.runner.explain(task, "a")
        assert (verdict.kind.value, verdict.resource) == ("denied", "cpu")
        assert (verdict.wanted, verdict.used, verdict.cap) == ("1", "2", "2")
        elsewhere[0] = 1
    assert set(done.data) == {"a"}


async def test_a_callback_that_raises_stops_only_the_tasks_of_its_quota() -> None:
    quota = pdt.ResourceManager(amount(2, 0, None))
    failures = [OSError("cluster is away")] * 3

    async def reported() -> Resources:
        if failures:
            raise failures.pop()
        return Resources.zero()

    quota.register(reported)
    bound, bound_done, _ = counting_task(
        "bound", memory(*jobs_of(5)), resource_manager=quota, job_resources=amount(1, 0)
    )
    free, free_done, _ = counting_task("free", memory(*jobs_of(5)))
    report = await run(bound, free)
    assert len(free_done.data) == len(bound_done.data) == 5
    assert report.exit_code in (0, 5)
