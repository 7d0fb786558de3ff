"""ExecutorTask: bodies that take too long or are cancelled end, and what ran beside them is not charged for it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import pdt
from pdt.errors import ConfigurationError
from tests.core.engine.samples import jobs_of, memory, pipeline_of, run, until
from tests.core.task.bodies import make_module

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")


@pytest.fixture
def bodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Return the module of bodies, which workers can import."""
    yield from make_module(tmp_path, monkeypatch)


def processes(workers: int = 1, start: str = "fork") -> Callable[[], Executor]:
    """Return what makes a pool of processes."""
    return partial(ProcessPoolExecutor, workers, mp_context=get_context(start))


def task_of(
    executor: Executor | Callable[[], Executor], body: Callable[..., Any], *jobs: str, **options: Any
) -> tuple[pdt.ExecutorTask, pdt.InProcessMetadataRepository]:
    done = memory()
    task = pdt.ExecutorTask("task", executor, done, func=body, **options)
    task.link("input", memory(*jobs), is_input=True)
    return task, done


def notes(folder: Path) -> list[list[str]]:
    """Return what bodies have noted: the job, what it does, and its process."""
    path = folder / "notes"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


# Bodies that can be interrupted.


@pytest.mark.parametrize("body", ["dawdles", "idles"])
@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
async def test_a_body_that_takes_too_long_ends_and_its_worker_goes_on(
    start: str, body: str, bodies: ModuleType, tmp_path: Path
) -> None:
    jobs = ["slow1", "slow2", *jobs_of(4)]
    task, done = task_of(processes(1, start), getattr(bodies, body), *jobs, timeout=0.3, grace=30)
    report = await run(task)
    assert report.succeeded == Counter(task=4)
    assert report.failed == Counter(task=2)
    for job in ("slow1", "slow2"):
        record = done.data[job]
        assert (record["reason"], record["success"], record["attempt"]) == ("timeout", False, 1)
        assert "it took longer than 0.3 s" in record["exception"]
        assert body == "idles" or "in dawdles" in "".join(record["traceback"])
        assert 0.3 <= (record["end_time"] - record["start_time"]).total_seconds() < 10
    seen = notes(tmp_path)
    assert Counter(job for job, what, _ in seen if what == "ends") == Counter(jobs)
    assert len({pid for _, _, pid in seen}) == 1


async def test_the_time_in_the_queue_does_not_count(bodies: ModuleType) -> None:
    jobs = [f"short{number}" for number in range(6)]
    task, _ = task_of(processes(), bodies.dawdles, *jobs, timeout=0.6)
    report = await run(task)
    assert report.succeeded == Counter(task=6)
    assert not report.failed


async def test_a_body_that_comes_to_its_end_when_it_is_told_to_has_succeeded(
    bodies: ModuleType, tmp_path: Path
) -> None:
    task, done = task_of(processes(), bodies.finishes, "a", timeout=0.2, grace=30)
    await run(task)
    assert done.data["a"]["success"]
    assert [what for _, what, _ in notes(tmp_path)] == ["begins", "finishes"]


async def test_what_took_too_long_is_tried_again_where_the_policy_says_so(bodies: ModuleType, tmp_path: Path) -> None:
    retry = pdt.Retry(attempts=2, delay=0, on=["timeout"])
    task, done = task_of(processes(), bodies.dawdles, "slow", timeout=0.2, retry=retry)
    report = await run(task)
    assert report.retried == Counter(task=1)
    assert (done.data["slow"]["reason"], done.data["slow"]["attempt"]) == ("timeout", 2)
    assert [what for _, what, _ in notes(tmp_path)] == ["begins", "ends"] * 2


async def test_a_worker_that_a_stranger_ends_is_lost(bodies: ModuleType, tmp_path: Path) -> None:
    task, done = task_of(processes(), bodies.waits, "a", timeout=60)
    await task.launch("a")
    await until((tmp_path / "a.begun").exists)
    assert isinstance(task.executor, ProcessPoolExecutor)
    for pid in task.executor._processes or ():
        os.kill(pid, signal.SIGTERM)
    await until(lambda: task.rev_jobs["a"].done())
    await task.update()
    assert "a worker of the executor died" in task.lost["a"]
    assert not done.data
    await task.release()


# Bodies that cannot.


async def test_a_body_that_does_not_listen_is_killed_after_its_grace(bodies: ModuleType) -> None:
    task, done = task_of(processes(2), bodies.deaf, "slow", *jobs_of(20), timeout=0.3, grace=0.2)
    began = time.monotonic()
    report = await run(task)
    assert time.monotonic() - began < 20
    assert report.succeeded == Counter(task=20)
    assert done.data["slow"]["reason"] == "timeout"
    assert "it took longer than 0.3 s" in done.data["slow"]["exception"]
    assert (done.data["slow"]["end_time"] - done.data["slow"]["start_time"]).total_seconds() >= 0.5


async def test_what_ran_in_the_same_pool_is_started_again_as_often_as_it_takes(
    bodies: ModuleType, tmp_path: Path
) -> None:
    slow = [f"slow{number}" for number in range(7)]
    task, done = task_of(processes(2), bodies.deaf, "long", *slow, grace=0.1)
    async with pipeline_of(task) as pipeline, asyncio.timeout(60), asyncio.TaskGroup() as group:
        running = group.create_task(pipeline.run())
        while len(done.data) < len(slow):
            begun = {job for job, what, _ in notes(tmp_path) if job in slow and job not in done.data}
            for job in begun if (tmp_path / "long.begun").exists() else ():
                await task.cancel(job)
            await asyncio.sleep(0.01)
        (tmp_path / "go").touch()
        report = await running
    assert {done.data[job]["reason"] for job in slow} == {"cancelled"}
    assert done.data["long"]["success"]
    assert done.data["long"]["attempt"] == 1
    assert sum(job == "long" for job, _, _ in notes(tmp_path)) > 5
    assert report.failed == Counter(task=7)
    assert not report.problems


# Cancelling.


@pytest.mark.parametrize("body", ["dawdles", "idles", "deaf"])
async def test_a_running_job_is_cancelled(body: str, bodies: ModuleType, tmp_path: Path) -> None:
    task, done = task_of(processes(), getattr(bodies, body), "slow", "other", grace=0.2)
    async with pipeline_of(task) as pipeline, asyncio.timeout(30), asyncio.TaskGroup() as group:
        running = group.create_task(pipeline.run())
        await until(lambda: any(job == "slow" for job, _, _ in notes(tmp_path)))
        await task.cancel("slow")
        report = await running
    assert done.data["other"]["success"]
    record = done.data["slow"]
    assert (record["success"], record["reason"]) == (False, "cancelled")
    assert "it was cancelled" in record["exception"]
    assert report.failed == Counter(task=1)


async def test_a_cancelled_job_is_not_tried_again(bodies: ModuleType, tmp_path: Path) -> None:
    task, done = task_of(processes(), bodies.dawdles, "slow", retry=pdt.Retry(attempts=5, delay=0))
    async with pipeline_of(task) as pipeline, asyncio.timeout(30), asyncio.TaskGroup() as group:
        running = group.create_task(pipeline.run())
        await until(lambda: notes(tmp_path))
        await task.cancel("slow")
        await running
    assert (done.data["slow"]["reason"], done.data["slow"]["attempt"]) == ("cancelled", 1)


async def test_a_cancelled_body_in_a_thread_runs_on_and_keeps_its_place() -> None:
    begun, release = threading.Event(), threading.Event()
    runs = 0

    def body(job: str) -> None:
        nonlocal runs
        runs += 1
        begun.set()
        release.wait(10)

    task, done = task_of(partial(ThreadPoolExecutor, 1), body, "a")
    async with pipeline_of(task) as pipeline, asyncio.timeout(30), asyncio.TaskGroup() as group:
        running = group.create_task(pipeline.run())
        await asyncio.to_thread(begun.wait, 10)
        await task.cancel("a")
        await until(lambda: "a" in done.data)
        assert done.data["a"]["reason"] == "cancelled"
        assert await task.live.keys() == {"a"}
        await task.launch("a")
        release.set()
        report = await running
        await until(lambda: not task.live.task.rev_jobs or task.rev_jobs["a"].done())
    assert report.failed == Counter(task=1)
    assert not report.succeeded
    assert done.data["a"]["reason"] == "cancelled"
    assert runs == 1


# Where nothing can be ended.


class Inline(Executor):
    """An executor of a stranger's."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@pytest.mark.parametrize("make", [partial(ThreadPoolExecutor, 1), partial(Inline)])
async def test_a_timeout_that_nothing_can_keep_is_refused_at_opening(make: Callable[[], Executor]) -> None:
    task, _ = task_of(make, lambda job: None, "a", timeout=1)
    with pytest.raises(ConfigurationError, match="nothing can end a body in its executor") as caught:
        async with pipeline_of(task):
            pass
    assert "partial(ProcessPoolExecutor, 4)" in str(caught.value.fix)


async def test_a_pool_that_was_given_is_not_the_tasks_to_kill(bodies: ModuleType) -> None:
    with processes()() as given:
        task, _ = task_of(given, bodies.nothing, "a", timeout=1)
        with pytest.raises(ConfigurationError, match="nothing can end a body in its executor"):
            await task.validate()


async def test_what_a_function_makes_is_judged_at_the_first_launch(bodies: ModuleType) -> None:
    threads, _ = task_of(lambda: ThreadPoolExecutor(1), bodies.nothing, timeout=1)
    await threads.validate()
    with pytest.raises(ConfigurationError, match="nothing can end a body in its executor"):
        await threads.launch("a")
    assert not threads.running
    await threads.release()
    task, done = task_of(lambda: processes()(), bodies.dawdles, "slow", timeout=0.2)
    await run(task)
    assert done.data["slow"]["reason"] == "timeout"


@pytest.mark.parametrize("option", ["timeout", "grace"])
def test_seconds_that_make_no_sense_are_refused(option: str, bodies: ModuleType) -> None:
    with pytest.raises(ConfigurationError, match=f"{option} of task 'task' is -1"):
        task_of(processes(), bodies.nothing, **{option: -1})
