"""Executors that a task makes for itself: made late, replaced when a worker is lost, shut down in the end."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import pdt
from pdt.engine import launch as launch_module
from pdt.errors import ConfigurationError
from tests.core.engine.samples import jobs_of, memory, pipeline_of, run, until
from tests.core.task.bodies import make_module

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
forks = partial(ProcessPoolExecutor, mp_context=get_context("fork"))


@pytest.fixture
def bodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Return the module of bodies, which workers can import."""
    yield from make_module(tmp_path, monkeypatch)


@pytest.fixture
def short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch_module, "FIRST_DELAY", 0.01)


class Maker:
    """Makes process pools, and remembers them."""

    def __init__(self, workers: int = 2, **options: Any) -> None:
        self.make = partial(forks, workers, **options)
        self.made: list[ProcessPoolExecutor] = []

    def __call__(self) -> Executor:
        self.made.append(self.make())
        return self.made[-1]


def task_of(
    executor: Executor | Callable[[], Executor], body: Callable[..., Any], *jobs: str
) -> tuple[pdt.ExecutorTask, pdt.InProcessMetadataRepository]:
    done = memory()
    task = pdt.ExecutorTask("task", executor, done, func=body)
    task.link("input", memory(*jobs), is_input=True)
    return task, done


async def test_an_executor_is_made_when_the_first_job_comes_and_serves_all(bodies: ModuleType) -> None:
    maker = Maker()
    task, done = task_of(maker, bodies.nothing, *jobs_of(20))
    async with pipeline_of(task) as pipeline:
        assert await pipeline.gather_ready_jobs(task) == set(jobs_of(20))
        assert not maker.made
        await pipeline.run()
        assert maker.made == [task.executor]
    assert set(done.data) == set(jobs_of(20))
    await task.release()


async def test_release_ends_the_workers_and_the_next_job_gets_new_ones(bodies: ModuleType) -> None:
    maker = Maker()
    task, done = task_of(maker, bodies.nothing, "a")
    async with pipeline_of(task) as pipeline:
        await pipeline.run()
        assert multiprocessing.active_children()
    # Closing the pipeline has released it.
    assert not multiprocessing.active_children()
    await task.release()
    await task.launch("b")
    await until(lambda: task.rev_jobs["b"].done())
    await task.update()
    assert len(maker.made) == 2
    assert set(done.data) == {"a", "b"}
    await task.release()
    assert not multiprocessing.active_children()


async def test_release_waits_for_what_runs_and_takes_back_what_does_not(bodies: ModuleType, tmp_path: Path) -> None:
    task, done = task_of(Maker(1), bodies.waits)
    for job in jobs_of(5):
        await task.launch(job)
    await until((tmp_path / "j00000.begun").exists)
    last = task.rev_jobs["j00004"]
    async with asyncio.TaskGroup() as group:
        release = group.create_task(task.release())
        # Only when the last one has been taken back may the first one end.
        await until(last.done)
        assert not release.done()
        (tmp_path / "go").touch()
    await task.update()
    assert "j00000" in done.data
    assert "j00004" not in done.data
    assert set(task.take_unrecorded()) == set(jobs_of(5)) - set(done.data)
    assert not task.running


async def test_an_executor_that_was_given_is_left_to_its_maker(bodies: ModuleType) -> None:
    with forks(1) as executor:
        task, _ = task_of(executor, bodies.nothing, "a")
        await run(task)
        await task.release()
        assert task.executor is executor
        assert executor.submit(os.getpid).result() != os.getpid()


@pytest.mark.usefixtures("short_delays")
async def test_a_lost_worker_costs_the_run_nothing(bodies: ModuleType, tmp_path: Path) -> None:
    maker = Maker()
    task, done = task_of(maker, bodies.dies_once, "bad", *jobs_of(20))
    report = await run(task)
    assert report.exit_code == 0
    assert report.succeeded == Counter(task=21)
    assert (tmp_path / "bad.died").exists()
    assert all(record["success"] for record in done.data.values())
    assert len(maker.made) == 2
    await task.release()
    assert not multiprocessing.active_children()


@pytest.mark.usefixtures("short_delays")
async def test_workers_may_be_lost_again_and_again(bodies: ModuleType) -> None:
    maker = Maker(1)
    task, done = task_of(maker, bodies.dies_once, "bad1", "bad2", "bad3")
    report = await run(task)
    assert report.exit_code == 0
    assert len(done.data) == 3
    assert len(maker.made) == 4
    await task.release()


async def test_a_job_that_waits_can_be_cancelled(bodies: ModuleType, tmp_path: Path) -> None:
    task, done = task_of(Maker(1), bodies.waits)
    for job in jobs_of(5):
        await task.launch(job)
    await until((tmp_path / "j00000.begun").exists)
    await task.cancel("j00004")
    assert await task.live.keys() == set(jobs_of(4))
    (tmp_path / "go").touch()
    await until(lambda: all(future.done() for future in task.rev_jobs.values()))
    await task.update()
    assert {job for job, record in done.data.items() if record["success"]} == set(jobs_of(4))
    assert done.data["j00004"]["reason"] == "cancelled"
    assert not (tmp_path / "j00004.begun").exists()
    await task.release()


async def test_no_descriptor_is_left_open(bodies: ModuleType, tmp_path: Path) -> None:
    jobs = jobs_of(200)
    task, done = task_of(Maker(), bodies.looks_around, *jobs)
    task.lock_file = str(tmp_path / "locks")
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    await run(task)
    await task.release()
    assert len(done.data) == 200
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
    seen = [(tmp_path / f"{job}.seen").read_text().split() for job in jobs]
    for worker in {pid for pid, _, _ in seen}:
        assert len({count for pid, count, _ in seen if pid == worker}) == 1


async def test_a_pool_has_its_own_initializer_called(bodies: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    task, _ = task_of(Maker(1, initializer=os.chdir, initargs=(tmp_path / "elsewhere",)), bodies.looks_around, "a")
    await run(task)
    await task.release()
    assert (tmp_path / "a.seen").read_text().endswith(f" {tmp_path / 'elsewhere'}")


# What is known before an executor is made.


@pytest.mark.parametrize("make", [ProcessPoolExecutor, partial(partial(forks, 1), initializer=None)])
async def test_a_body_is_checked_at_opening_where_it_is_plain_that_processes_run_it(
    make: Callable[[], Executor],
) -> None:
    task, _ = task_of(make, lambda job: None, "a")
    assert task.runs_elsewhere
    with pytest.raises(ConfigurationError, match="which cannot find its body"):
        async with pipeline_of(task):
            pass
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("make", [ThreadPoolExecutor, partial(ThreadPoolExecutor, 1)])
async def test_a_body_may_be_anything_where_it_is_plain_that_threads_run_it(make: Callable[[], Executor]) -> None:
    seen: list[str] = []
    task, _ = task_of(make, lambda job: seen.append(job), "a")
    assert not task.runs_elsewhere
    await run(task)
    assert seen == ["a"]
    await task.release()


async def test_a_body_is_checked_at_its_launch_otherwise(bodies: ModuleType) -> None:
    unseen, _ = task_of(lambda: forks(1), lambda job: None, "a")
    await unseen.validate()
    with pytest.raises(ConfigurationError, match="which cannot find its body"):
        await unseen.launch("a")
    await unseen.release()
    seen: list[str] = []
    task, _ = task_of(lambda: ThreadPoolExecutor(1), lambda job: seen.append(job), "a")
    await run(task)
    assert seen == ["a"]
    await task.release()


async def test_a_task_is_told_how_many_workers_its_executor_has() -> None:
    def body(job: str) -> None: ...

    task, _ = task_of(lambda: ThreadPoolExecutor(100), body, "a")
    assert isinstance(task.executor, ThreadPoolExecutor)
    assert task.concurrency == 400
    await task.release()


@pytest.mark.parametrize("executor", [None, 4, "threads"])
def test_what_can_run_nothing_is_refused(executor: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        pdt.ExecutorTask("task", executor, memory())
    assert f"executor of task 'task' is {executor!r}, to which no function can be submitted" in str(caught.value)
    assert "partial(ProcessPoolExecutor, 4)" in str(caught.value.fix)


async def test_a_function_that_makes_no_executor_is_named() -> None:
    def make() -> Any:
        return None

    task, _ = task_of(make, lambda job: None, "a")
    with pytest.raises(ConfigurationError, match="executor of task 'task' is None"):
        await task.launch("a")
