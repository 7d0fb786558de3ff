"""ExecutorTask: bodies in threads and in other processes."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import pdt
from pdt.engine import launch as launch_module
from pdt.errors import ConfigurationError, InvalidJobIdError, TaskConfigurationError
from pdt.task.remote import Call, Named, run_call
from tests.core.engine.samples import jobs_of, memory, pipeline_of, run, until
from tests.core.task.bodies import make_module

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")


@pytest.fixture
def bodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Return the module of bodies, which workers can import."""
    yield from make_module(tmp_path, monkeypatch)


POOLS: dict[str, Callable[[], Executor]] = {
    "threads": lambda: ThreadPoolExecutor(2),
    "fork": lambda: ProcessPoolExecutor(2, mp_context=get_context("fork")),
    "spawn": lambda: ProcessPoolExecutor(1, mp_context=get_context("spawn")),
}


@pytest.fixture(params=POOLS)
def pool(request: pytest.FixtureRequest) -> Iterator[Executor]:
    with POOLS[request.param]() as made:
        yield made


class Inline(Executor):
    """An executor of a stranger's: it runs what it is given at once."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(pickle.loads(pickle.dumps(fn))(*pickle.loads(pickle.dumps(args)), **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


@pytest.fixture
def processes() -> Iterator[Executor]:
    with POOLS["fork"]() as made:
        yield made


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


def sources(tmp_path: Path, *jobs: str) -> pdt.FileRepository:
    """Return a directory with a file for each job."""
    (tmp_path / "in").mkdir(exist_ok=True)
    for job in jobs:
        (tmp_path / "in" / f"{job}.txt").write_text(f"text of {job}")
    return pdt.FileRepository(tmp_path / "in", ".txt")


def records(tmp_path: Path, name: str = "task") -> pdt.SqliteMetadataRepository:
    return pdt.SqliteMetadataRepository(tmp_path / "records.sqlite", name)


# Bodies, wherever they run.


@pytest.mark.parametrize("body", ["write", "write_async"])
async def test_bodies_read_and_write_their_links(pool: Executor, body: str, bodies: ModuleType, tmp_path: Path) -> None:
    outputs = pdt.FileRepository(tmp_path / "out", ".txt")
    done = records(tmp_path)
    task = pdt.ExecutorTask("task", pool, done, func=getattr(bodies, body))
    task.link("source", sources(tmp_path, *jobs_of(20)), is_input=True)
    task.link("out", outputs, is_output=True)
    report = await run(task, store=tmp_path / "store")
    assert report.succeeded == Counter(task=20)
    workers = set()
    for job in jobs_of(20):
        text, _, worker = (tmp_path / "out" / f"{job}.txt").read_text().rpartition(" ")
        assert text == f"text of {job}"
        workers.add(int(worker))
        record = await done.info(job)
        assert record["success"] is True
        assert record["start_time"] <= record["end_time"]
        assert record["end_time"].utcoffset() == timedelta(0)
    assert (workers == {os.getpid()}) is isinstance(pool, ThreadPoolExecutor)
    assert not task.rev_jobs


@pytest.mark.parametrize("start", ["fork", "spawn"])
async def test_records_in_one_database_are_written_from_several_processes(
    start: str, bodies: ModuleType, tmp_path: Path
) -> None:
    outputs = records(tmp_path, "out")
    with POOLS[start]() as pool:
        task = pdt.ExecutorTask("task", pool, records(tmp_path), func=bodies.dump)
        task.link("input", sources(tmp_path, *jobs_of(30)), is_input=True)
        task.link("records", outputs, is_output=True)
        await run(task, store=tmp_path / "store")
    written = await outputs.info_all()
    assert set(written) == set(jobs_of(30))
    assert os.getpid() not in {record["pid"] for record in written.values()}


async def test_a_decorated_body_is_found_by_its_name_in_the_worker(bodies: ModuleType, tmp_path: Path) -> None:
    sources(tmp_path, "a", "b")
    with bodies.pool:
        await run(bodies.task, store=tmp_path / "store")
    assert (tmp_path / "decorated" / "a.txt").read_text().startswith("text of a ")
    assert isinstance(bodies.task, pdt.ExecutorTask)


async def test_nested_bodies_and_lambdas_run_in_threads(threads: ThreadPoolExecutor) -> None:
    seen: list[str] = []
    done = memory()
    task = pdt.ExecutorTask("task", threads, done, func=lambda job: seen.append(job))
    task.link("input", memory("a", "b"), is_input=True)
    await run(task)
    assert sorted(seen) == ["a", "b"]


async def test_a_body_in_a_thread_has_a_loop_of_its_own(threads: ThreadPoolExecutor) -> None:
    loops = []

    async def body(job: str, **links: Any) -> None:
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())

    task = pdt.ExecutorTask("task", threads, memory(), func=body)
    task.link("input", memory(*jobs_of(5)), is_input=True)
    await run(task)
    assert asyncio.get_running_loop() not in loops
    assert all(loop.is_closed() for loop in loops)


# Failures.


EXCEPTIONS = {
    "unpicklable": "Unpicklable('unpicklable')",
    "exit": "SystemExit(7)",
    "odd": "Odd('odd')",
    "stop": "StopIteration",
    "cancelled": "CancelledError('cancelled')",
    "value": "ValueError('value')",
}


async def test_whatever_a_body_raises_is_recorded_and_its_worker_goes_on(
    pool: Executor, bodies: ModuleType, tmp_path: Path
) -> None:
    done = memory()
    task = pdt.ExecutorTask("task", pool, done, func=bodies.fails)
    task.link("input", sources(tmp_path, "good", *EXCEPTIONS), is_input=True)
    report = await run(task, store=tmp_path / "store")
    assert report.failed == Counter(task=len(EXCEPTIONS))
    assert done.data["good"]["success"]
    for job, shown in EXCEPTIONS.items():
        record = done.data[job]
        assert record["reason"] == "exception"
        assert shown in record["exception"]
        text = "".join(record["traceback"])
        assert text.startswith("Traceback")
        assert "in fails" in text
    assert report.exit_code == 1


async def test_a_broken_record_blocks_its_job_only(pool: Executor, bodies: ModuleType, tmp_path: Path) -> None:
    inputs = pdt.YamlMetadataFileRepository(tmp_path / "yaml")
    (tmp_path / "yaml").mkdir()
    for job in ("a", "b", "c"):
        (tmp_path / "yaml" / f"{job}.yaml").write_text("x: [" if job == "b" else "x: 1")
    done = memory()
    task = pdt.ExecutorTask("task", pool, done, func=bodies.reads)
    task.link("records", inputs, is_input=True)
    async with pipeline_of(task, store=tmp_path / "store") as pipeline:
        report = await pipeline.run()
        assert set(done.data) == {"a", "c"}
        assert report.exit_code == 5
        assert "record 'b'" in next(iter(report.problems))
        assert (await pipeline.explain(task, "b")).kind.value == "blocked"


@pytest.fixture
def short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch_module, "FIRST_DELAY", 0.01)


@pytest.mark.usefixtures("short_delays")
async def test_a_killed_worker_costs_no_job_its_record_and_ends_the_run(bodies: ModuleType, tmp_path: Path) -> None:
    done = records(tmp_path)
    inputs = sources(tmp_path, "bad", *jobs_of(20))
    with POOLS["fork"]() as pool:
        task = pdt.ExecutorTask("task", pool, done, func=bodies.kills)
        task.link("input", inputs, is_input=True)
        report = await run(task, store=tmp_path / "store")
    assert report.exit_code != 0
    assert report.problems
    assert not await done.contains("bad")
    for record in (await done.info_all()).values():
        assert record["success"]
    (tmp_path / "in" / "bad.txt").unlink()
    with POOLS["fork"]() as pool:
        task = pdt.ExecutorTask("task", pool, done, func=bodies.kills)
        task.link("input", inputs, is_input=True)
        report = await run(task, store=tmp_path / "store")
    assert report.exit_code == 0
    assert await done.keys() == set(jobs_of(20))


@pytest.mark.usefixtures("short_delays")
async def test_an_executor_that_is_shut_down_during_a_run_ends_it(threads: ThreadPoolExecutor) -> None:
    done = memory()

    def body(job: str) -> None:
        time.sleep(0.01)
        if job == "j00005":
            threads.shutdown(wait=False, cancel_futures=True)

    task = pdt.ExecutorTask("task", threads, done, func=body)
    task.link("input", memory(*jobs_of(40)), is_input=True)
    report = await run(task, deadline=15)
    assert "j00005" in done.data
    assert len(done.data) < 40
    assert report.exit_code == 1
    assert any("cannot schedule new futures after shutdown" in problem for problem in report.problems)


# What another process cannot find.


def nested() -> Callable[..., None]:
    def body(job: str) -> None: ...

    return body


@pytest.mark.parametrize("name", ["lambda", "nested", "shown", "an_object", "a_partial"])
async def test_a_body_that_another_process_cannot_find_is_refused_at_opening(
    name: str, bodies: ModuleType, processes: Executor, tmp_path: Path
) -> None:
    func: Any = {"lambda": lambda job: None, "nested": nested()}.get(name) or getattr(bodies, name)
    task = pdt.ExecutorTask("task", processes, memory(), func=func)
    task.link("input", sources(tmp_path, "a"), is_input=True)
    with pytest.raises(ConfigurationError) as caught:
        async with pipeline_of(task):
            pass
    assert "task 'task' runs in other processes, which cannot find its body" in str(caught.value)
    assert "a plain function at the top level of a module" in str(caught.value.fix)


async def test_a_wrapped_body_under_its_own_name_is_found(
    bodies: ModuleType, processes: Executor, tmp_path: Path
) -> None:
    done = memory()
    task = pdt.ExecutorTask("task", processes, done, func=bodies.decorated)
    task.link("input", sources(tmp_path, "a"), is_input=True)
    await run(task, store=tmp_path / "store")
    assert done.data["a"]["success"]


async def test_a_repository_of_this_process_only_is_refused_at_opening(bodies: ModuleType, processes: Executor) -> None:
    task = pdt.ExecutorTask("task", processes, memory(), func=bodies.reads)
    task.link("records", memory("a"), is_input=True)
    with pytest.raises(ConfigurationError) as caught:
        await task.validate()
    assert "which cannot see its link 'records': it lives in this process only" in str(caught.value)
    assert "SqliteMetadataRepository" in str(caught.value.fix)


async def test_a_link_that_cannot_be_sent_is_refused_at_opening(
    bodies: ModuleType, processes: Executor, tmp_path: Path
) -> None:
    task = pdt.ExecutorTask("task", processes, memory(), func=bodies.reads)
    task.link("records", sources(tmp_path, "a").map(lambda path: path), is_input=True)
    with pytest.raises(ConfigurationError, match=r"to which its links cannot be sent: .*lambda") as caught:
        await task.validate()
    assert "top-level names of a module" in str(caught.value.fix)


async def test_links_that_the_body_does_not_take_may_live_in_this_process(
    bodies: ModuleType, processes: Executor, tmp_path: Path
) -> None:
    done = memory()
    task = pdt.ExecutorTask("task", processes, done, func=bodies.nothing)
    task.link("input", memory("a"), is_input=True)
    await run(task)
    assert set(done.data) == {"a"}


async def test_a_body_that_asks_for_what_there_is_not_is_refused_at_opening(
    bodies: ModuleType, processes: Executor
) -> None:
    task = pdt.ExecutorTask("task", processes, memory(), func=bodies.reads)
    with pytest.raises(TaskConfigurationError, match="asks for 'records'"):
        await task.validate()


# Live jobs.


async def test_live_holds_what_the_executor_has(threads: ThreadPoolExecutor) -> None:
    release = threading.Event()
    done = memory()
    task = pdt.ExecutorTask("task", threads, done, func=lambda job: release.wait(10))
    live = task.links["live"].repo
    assert isinstance(live, pdt.ExecutorLiveRepo)
    assert task.live is live
    await task.validate()
    for job in ("a", "b", "c"):
        await task.launch(job)
    assert await live.keys() == {"a", "b", "c"}
    assert {job async for job in live} == {"a", "b", "c"}
    assert await live.contains("c")
    assert not await live.contains("x")
    await live.info("a")
    assert await task.update() is True
    assert not done.data
    release.set()
    await until(lambda: all(future.done() for future in task.rev_jobs.values()))
    assert await task.update() is True
    assert set(done.data) == {"a", "b", "c"}
    assert await live.keys() == set()
    assert await task.update() is False
    assert task.links["live"] == pdt.Link(live, is_status=True, inhibits_start=True, inhibits_output=True)
    assert task.links["done"] == pdt.Link(done, is_status=True, inhibits_start=True, required_for_output=True)


async def test_a_job_that_is_live_already_is_not_launched_again(threads: ThreadPoolExecutor) -> None:
    calls: list[str] = []
    release = threading.Event()

    def body(job: str) -> None:
        calls.append(job)
        release.wait(10)

    task = pdt.ExecutorTask("task", threads, memory(), func=body)
    await task.launch("a")
    await task.launch("a")
    release.set()
    await until(lambda: task.rev_jobs["a"].done())
    await task.update()
    assert calls == ["a"]


async def test_synchronous_launches_wait_for_their_end(pool: Executor, bodies: ModuleType, tmp_path: Path) -> None:
    done = memory()
    task = pdt.ExecutorTask("task", pool, done, func=bodies.counts)
    task.link("input", sources(tmp_path, *jobs_of(6)), is_input=True)
    async with pipeline_of(task, store=tmp_path / "store") as pipeline:
        pipeline.settings(synchronous=True)
        await task.launch("j00000")
        assert done.data["j00000"]["success"]
        assert await pipeline.update_only_launch()
        assert set(done.data) == set(jobs_of(6))
    assert sorted((tmp_path / "counts").read_text().split()) == jobs_of(6)


async def test_without_metadata_nothing_is_recorded_and_each_job_runs_once(
    pool: Executor, bodies: ModuleType, tmp_path: Path
) -> None:
    done = memory()
    task = pdt.ExecutorTask("task", pool, done, func=bodies.counts)
    task.link("input", sources(tmp_path, *jobs_of(6)), is_input=True)
    async with pipeline_of(task, store=tmp_path / "store") as pipeline, asyncio.timeout(20):
        pipeline.settings(metadata=False)
        await pipeline.run()
    assert not done.data
    assert sorted((tmp_path / "counts").read_text().split()) == jobs_of(6)
    assert not task.rev_jobs


async def test_one_update_after_another_works_a_pipeline_off(threads: ThreadPoolExecutor) -> None:
    """As users of the reference drive it."""
    first = pdt.ExecutorTask("first", threads, memory(), func=lambda job: time.sleep(0.01))
    first.link("input", memory("a", "b"), is_input=True)
    done = memory()
    second = pdt.ExecutorTask("second", threads, done, func=lambda job: None)
    second.plug(first)
    second.link("input", first.links["input"].repo, is_input=True)
    async with pipeline_of(first, second) as pipeline, asyncio.timeout(20):
        assert await pipeline.update()
        while await pipeline.update():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert set(done.data) == {"a", "b"}


@pytest.mark.parametrize("job", ["../x", "", "a\n"])
async def test_an_invalid_job_id_is_not_launched(job: str, threads: ThreadPoolExecutor) -> None:
    task = pdt.ExecutorTask("task", threads, memory(), func=lambda job: None)
    with pytest.raises(InvalidJobIdError):
        await task.launch(job)
    assert not task.rev_jobs


# Cancelling.


async def test_a_waiting_job_is_cancelled_and_what_a_running_one_does_later_does_not_count() -> None:
    release = threading.Event()
    started = threading.Event()
    calls: list[str] = []
    done = memory()

    def body(job: str) -> None:
        calls.append(job)
        started.set()
        release.wait(10)
        if job == "running":
            raise ValueError("too late")

    with ThreadPoolExecutor(1) as threads:
        task = pdt.ExecutorTask("task", threads, done, func=body)
        await task.validate()
        for job in ("running", "waiting", "other"):
            await task.launch(job)
        await asyncio.to_thread(started.wait, 10)
        await task.cancel("unknown")
        await task.cancel("waiting")
        assert await task.live.keys() == {"running", "other"}
        assert done.data["waiting"]["reason"] == "cancelled"
        await task.live.delete("running")
        assert await task.live.contains("running")
        cancelled = dict(done.data["running"])
        assert (cancelled["success"], cancelled["reason"]) == (False, "cancelled")
        await task.live.delete("running")
        await task.live.delete("nobody")
        release.set()
        await until(lambda: all(future.done() for future in task.rev_jobs.values()))
        await task.update()
    assert await task.live.keys() == set()
    assert set(done.data) == {"running", "waiting", "other"}
    assert done.data["running"] == cancelled
    assert done.data["other"]["success"]
    assert calls == ["running", "other"]


async def test_a_cancelled_job_can_be_launched_again(threads: ThreadPoolExecutor) -> None:
    release = threading.Event()
    done = memory()
    calls: list[str] = []

    def body(job: str) -> None:
        release.wait(10)
        calls.append(job)

    task = pdt.ExecutorTask("task", threads, done, func=body)
    for job in ("a", "b", "c"):
        await task.launch(job)
    await task.cancel("c")
    await task.launch("c")
    release.set()
    await until(lambda: all(future.done() for future in task.rev_jobs.values()))
    await task.update()
    assert sorted(calls) == ["a", "b", "c"]
    assert set(done.data) == {"a", "b", "c"}


async def test_a_cancelled_job_of_a_running_pipeline_does_not_hang_it(threads: ThreadPoolExecutor) -> None:
    started = threading.Event()
    release = threading.Event()

    def body(job: str) -> None:
        started.set()
        release.wait(10)

    done = memory()
    inputs = memory(*jobs_of(5))
    task = pdt.ExecutorTask("task", threads, done, func=body)
    task.link("input", inputs, is_input=True)
    async with pipeline_of(task) as pipeline, asyncio.timeout(20), asyncio.TaskGroup() as group:
        running = group.create_task(pipeline.run())
        await asyncio.to_thread(started.wait, 10)
        for job in jobs_of(5):
            inputs.data.pop(job)
            await task.cancel(job)
        release.set()
        report = await running
    assert {record["reason"] for record in done.data.values()} == {"cancelled"}
    assert report.failed == Counter(task=5)


# Queues, leaks.


async def test_an_executor_is_kept_fed_and_not_flooded(threads: ThreadPoolExecutor) -> None:
    most = 0
    task = pdt.ExecutorTask("task", threads, memory(), func=lambda job: None)

    def body(job: str) -> None:
        nonlocal most
        most = max(most, len(task.rev_jobs))

    task.func = body
    task.link("input", memory(*jobs_of(2000)), is_input=True)
    report = await run(task)
    assert report.succeeded == Counter(task=2000)
    assert most <= task.concurrency + 16


async def test_three_hundred_jobs_leak_no_descriptor_loop_or_thread(tmp_path: Path) -> None:
    threads = ThreadPoolExecutor(1)

    async def body(job: str, source: Any, **others: Any) -> None:
        async with source.open(job) as file:
            await file.read()

    async def once(count: int, folder: Path) -> None:
        folder.mkdir()
        task = pdt.ExecutorTask("task", threads, pdt.YamlMetadataFileRepository(folder / "done"), func=body)
        task.link("source", sources(folder, *jobs_of(count)), is_input=True)
        await run(task, store=folder / "store")
        assert len(list((folder / "done").iterdir())) == count

    await once(5, tmp_path / "warm")
    gc.collect()
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    gc.disable()
    try:
        await once(300, tmp_path / "full")
        after = len(os.listdir("/proc/self/fd")), threading.active_count()
    finally:
        gc.enable()
        threads.shutdown()
    assert after == before


async def test_jobs_that_run_on_when_the_pipeline_is_closed_are_recorded_when_it_is_opened_again(
    threads: ThreadPoolExecutor,
) -> None:
    release = threading.Event()
    calls: Counter[str] = Counter()

    def body(job: str) -> None:
        calls[job] += 1
        release.wait(10)

    done = memory()
    task = pdt.ExecutorTask("task", threads, done, func=body)
    task.link("input", memory(*jobs_of(20)), is_input=True)
    async with pipeline_of(task) as pipeline:
        assert await pipeline.update()
    assert len(task.rev_jobs) == 20
    async with pipeline_of(task) as pipeline, asyncio.timeout(20), asyncio.TaskGroup() as group:
        running = group.create_task(pipeline.run())
        await asyncio.sleep(0.05)
        release.set()
        report = await running
    assert set(done.data) == set(jobs_of(20))
    assert set(calls.values()) == {1}
    assert report.succeeded == Counter(task=20)


@pytest.mark.usefixtures("short_delays")
@pytest.mark.parametrize("synchronous", [False, True])
async def test_a_job_whose_worker_is_lost_each_time_is_given_up(synchronous: bool, bodies: ModuleType) -> None:
    """As on a cluster that replaces its workers: each launch succeeds, and none comes back."""

    class Losing(Inline):
        submitted = 0

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            call = args[0]
            if call.job == "bad":
                self.submitted += 1
                future: Future[Any] = Future()
                future.set_exception(ConnectionError("worker is gone"))
                return future
            return super().submit(fn, *args, **kwargs)

    done = memory()
    executor = Losing()
    task = pdt.ExecutorTask("task", executor, done, func=bodies.nothing)
    task.link("input", memory("bad", *jobs_of(10)), is_input=True)
    async with pipeline_of(task) as pipeline, asyncio.timeout(15):
        pipeline.settings(synchronous=synchronous)
        report = await pipeline.run()
    assert executor.submitted == launch_module.ATTEMPTS
    assert set(done.data) == set(jobs_of(10))
    assert report.exit_code == 1
    [problem] = report.problems
    assert "task bad" in problem
    assert "ConnectionError: worker is gone" in problem


async def test_any_executor_of_the_standard_interface_will_do(bodies: ModuleType, tmp_path: Path) -> None:
    done = memory()
    task = pdt.ExecutorTask("task", Inline(), done, func=bodies.fails)
    task.link("input", sources(tmp_path, "value", *jobs_of(300)), is_input=True)
    report = await run(task, store=tmp_path / "store")
    assert len(done.data) == 301
    assert report.failed == Counter(task=1)


async def test_an_executor_that_refuses_work_is_tried_again_and_reported(
    monkeypatch: pytest.MonkeyPatch, bodies: ModuleType
) -> None:
    monkeypatch.setattr(launch_module, "FIRST_DELAY", 0.01)

    class Refusing(Inline):
        left = 3

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            if self.left:
                self.left -= 1
                raise ConnectionError("scheduler is away")
            return super().submit(fn, *args, **kwargs)

    done = memory()
    task = pdt.ExecutorTask("task", Refusing(), done, func=bodies.nothing)
    task.link("input", memory("a"), is_input=True)
    report = await run(task)
    assert set(done.data) == {"a"}
    assert report.exit_code == 0


# What is sent.


SCRIPT = """
import asyncio, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import pdt

@pdt.ExecutorTask("task", ProcessPoolExecutor(2, mp_context=get_context("spawn")), pdt.InProcessMetadataRepository())
def body(job, out):
    out.dump(job, {"module": __name__})

body.link("input", pdt.InProcessMetadataRepository({"a": {}, "b": {}}), is_input=True)
body.link("out", pdt.SqliteMetadataRepository(sys.argv[-1] if len(sys.argv) > 1 else "unused", "out"), is_output=True)

async def main():
    async with pdt.Pipeline([body], pdt.Session()) as pipeline:
        report = await pipeline.run()
        print(report.succeeded, list(report.problems))

if __name__ == "__main__":
    asyncio.run(main())
    body.executor.shutdown()
"""


async def test_a_body_of_a_script_is_found_in_workers_that_were_spawned(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(tmp_path / "out.sqlite"), stdout=asyncio.subprocess.PIPE, cwd=tmp_path
    )
    output, _ = await process.communicate()
    assert output.decode().strip() == "Counter({'task': 2}) []"
    written = await pdt.SqliteMetadataRepository(tmp_path / "out.sqlite", "out").info_all()
    assert written == {"a": {"module": "__mp_main__"}, "b": {"module": "__mp_main__"}}


async def test_a_body_of_a_script_is_found_where_nobody_has_imported_it(tmp_path: Path) -> None:
    """As in a worker of a cluster, whose own script is another one."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\n\ndef body(job):\n    os.write(1, f'ran {job} {__name__}\\n'.encode())\n\n"
        "if __name__ == '__main__':\n    sys.exit('not as a script')\n"
    )
    code = (
        "import sys, threading; from pdt.task.remote import Call, Named, run_call\n"
        f"call = Call(Named('__main__', {str(script)!r}, 'body'), 'a', {{}})\n"
        "threads = [threading.Thread(target=run_call, args=(call,)) for _ in range(4)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output.decode() == "ran a __mp_main__\n" * 4


def test_a_module_that_another_thread_is_importing_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_module.py").write_text("import time\ntime.sleep(0.3)\ndef body(job):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    named = Named("slow_module", str(tmp_path / "slow_module.py"), "body")
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: named.resolve(), range(4)))
    assert len(set(found)) == 1
    sys.modules.pop("slow_module")


def test_a_name_is_resolved_where_it_is_needed(bodies: ModuleType) -> None:
    named = Named(bodies.__name__, bodies.__file__, "nothing")
    assert named.resolve() is bodies.nothing
    assert Named(bodies.__name__, bodies.__file__, "task").resolve() is bodies.task.func
    sent = pickle.loads(pickle.dumps(Call(named, "a", {})))
    ended = run_call(sent)
    assert ended.failure is None
    assert ended.start <= ended.end
