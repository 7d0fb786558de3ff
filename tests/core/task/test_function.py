"""InProcessSyncTask: how bodies are given, what they are called with, and what is recorded of their end."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import pdt
from pdt.errors import ConfigurationError, CorruptRecordError, InvalidJobIdError, TaskConfigurationError
from tests.core.engine.samples import jobs_of, memory, pipeline_of, run, until

KINDS = ("async", "plain")


def task_of(func: Any, *jobs: str, name: str = "task", **links: pdt.Repository) -> tuple[pdt.InProcessSyncTask, Any]:
    """Return a task with this body and these inputs, and its done repository."""
    done = memory()
    task = pdt.InProcessSyncTask(name, done, func=func)
    task.link("input", memory(*jobs), is_input=True)
    for link, repo in links.items():
        task.link(link, repo)
    return task, done


# How a body is given.


async def test_a_decorated_function_becomes_its_task() -> None:
    done = memory()
    outputs = memory()

    @pdt.InProcessSyncTask("double", done)
    async def double(job: str, numbers: pdt.MetadataRepository, outputs: pdt.MetadataRepository) -> None:
        await outputs.dump(job, 2 * await numbers.info(job))

    assert isinstance(double, pdt.InProcessSyncTask)
    double.link("numbers", pdt.InProcessMetadataRepository({"a": 1, "b": 2}), is_input=True)
    double.link("outputs", outputs, is_output=True)
    await run(double)
    assert outputs.data == {"a": 2, "b": 4}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_function_can_be_passed_as_func(kind: str) -> None:
    seen: list[str] = []

    async def coroutine(job: str) -> None:
        seen.append(job)

    def plain(job: str) -> None:
        seen.append(job)

    task, _ = task_of(coroutine if kind == "async" else plain, "a")
    await run(task)
    assert seen == ["a"]


class Body:
    """A callable object."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    async def __call__(self, job: str) -> None:
        self.seen.append(("call", job))

    async def method(self, job: str, prefix: str = "method") -> None:
        self.seen.append((prefix, job))


@pytest.mark.parametrize("form", ["object", "method", "partial"])
async def test_anything_that_can_be_called_may_be_a_body(form: str) -> None:
    body = Body()
    forms: dict[str, Any] = {
        "object": body,
        "method": body.method,
        "partial": functools.partial(body.method, prefix="partial"),
    }
    task, done = task_of(forms[form], "a")
    await run(task)
    assert body.seen == [({"object": "call"}.get(form, form), "a")]
    assert done.data["a"]["success"]


async def test_done_has_to_hold_records() -> None:
    blobs: Any = pdt.InProcessBlobRepository()
    with pytest.raises(
        ConfigurationError, match="done of task 'task' is InProcessBlobRepository, which cannot hold records"
    ):
        pdt.InProcessSyncTask("task", blobs)


async def test_links_of_its_own_are_those_of_the_reference() -> None:
    task, done = task_of(lambda job: None)
    assert task.links["done"] == pdt.Link(done, is_status=True, inhibits_start=True, required_for_output=True)


# What a body is called with.


async def test_a_body_gets_the_repositories_that_it_names() -> None:
    one, two = memory("x"), memory()
    got: dict[str, Any] = {}

    async def body(job: str, one: Any, done: Any) -> None:
        got.update(job=job, one=one, done=done)

    task, done = task_of(body, "a", one=one, two=two)
    await run(task)
    assert got == {"job": "a", "one": one, "done": done}


async def test_keyword_arguments_take_every_link() -> None:
    one, two = memory("x"), memory()
    got: dict[str, Any] = {}

    async def body(job: str, one: Any, **others: Any) -> None:
        got.update(others, job=job, one=one)

    task, done = task_of(body, "a", one=one, two=two)
    await run(task)
    assert got == {"job": "a", "one": one, "two": two, "done": done, "input": task.links["input"].repo}


async def test_the_job_may_be_among_keyword_arguments() -> None:
    got: dict[str, Any] = {}

    async def body(**everything: Any) -> None:
        got.update(everything)

    task, _ = task_of(body, "a")
    await run(task)
    assert set(got) == {"job", "input", "done"}


async def test_a_default_stands_where_there_is_no_such_link() -> None:
    got: dict[str, Any] = {}

    async def body(job: str, one: Any, factor: int = 3, two: Any = "default") -> None:
        got.update(one=one, factor=factor, two=two)

    one, two = memory(), memory()
    task, _ = task_of(body, "a", one=one, two=two)
    await run(task)
    assert got == {"one": one, "factor": 3, "two": two}


async def test_keyword_only_parameters_are_links_too() -> None:
    got: list[Any] = []

    async def body(job: str, *, one: Any) -> None:
        got.append(one)

    one = memory()
    task, _ = task_of(body, "a", one=one)
    await run(task)
    assert got == [one]


def no_such_link(job: str, inputs: Any) -> None: ...
def without_job(input: Any) -> None: ...
def positional_only(job: str, input: Any, /) -> None: ...
def star(job: str, *rest: Any) -> None: ...


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            no_such_link,
            "asks for 'inputs', which is neither 'job' nor one of its links\nfix: link it, or use one of: job, done, i",
        ),
        (without_job, "the body of task 'task' does not take 'job'"),
        (positional_only, "parameter 'job' of the body of task 'task' cannot be passed by name"),
        (star, "parameter 'rest' of the body of task 'task' cannot be passed by name"),
        (None, "task 'task' has no body\nfix: decorate a function with it, or pass func=..."),
        ("text", "the body of task 'task' is str, which cannot be called by its parameters' names"),
    ],
)
async def test_a_body_that_asks_for_what_there_is_not_is_refused_at_opening(body: Any, text: str) -> None:
    task, _ = task_of(body, "a")
    for error in (TaskConfigurationError, NameError, ConfigurationError):
        with pytest.raises(error) as caught:
            await task.validate()
        assert text in str(caught.value)
    with pytest.raises(TaskConfigurationError):
        async with pipeline_of(task):
            pass


async def test_a_link_that_was_added_after_a_failed_opening_is_found() -> None:
    task, done = task_of(no_such_link, "a")
    with pytest.raises(TaskConfigurationError):
        await task.validate()
    task.link("inputs", memory())
    await run(task)
    assert set(done.data) == {"a"}


# What is recorded.


@pytest.mark.parametrize("kind", KINDS)
async def test_the_record_of_a_body_that_returned(kind: str) -> None:
    async def coroutine(job: str) -> str:
        return "what it returns is not kept"

    task, done = task_of(coroutine if kind == "async" else lambda job: "not kept", "a")
    before = datetime.now(UTC)
    report = await run(task)
    after = datetime.now(UTC)
    record = done.data["a"]
    assert set(record) == {"result", "success", "reason", "attempt", "start_time", "end_time"}
    assert (record["result"], record["success"], record["reason"], record["attempt"]) == ("success", True, "success", 1)
    assert before <= record["start_time"] <= record["end_time"] <= after
    for time in (record["start_time"], record["end_time"]):
        assert time.utcoffset() == timedelta(0)
    assert report.succeeded == Counter(task=1)
    assert report.exit_code == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_the_record_of_a_body_that_raised(kind: str) -> None:
    def fail(job: str) -> None:
        raise ValueError(f"no {job}")

    async def coroutine(job: str) -> None:
        fail(job)

    task, done = task_of(coroutine if kind == "async" else fail, "a")
    report = await run(task)
    record = done.data["a"]
    assert set(record) == {
        "result", "success", "reason", "attempt", "exception", "traceback", "start_time", "end_time"
    }  # fmt: skip
    assert (record["result"], record["success"], record["reason"]) == ("exception", False, "exception")
    assert record["exception"] == "ValueError('no a')"
    assert isinstance(record["traceback"], list)
    text = "".join(record["traceback"])
    assert text.startswith("Traceback (most recent call last):")
    assert 'raise ValueError(f"no {job}")' in text
    assert text.endswith("ValueError: no a\n")
    assert record["start_time"] <= record["end_time"]
    assert report.failed == Counter(task=1)
    assert report.exit_code == 1


class Unprintable(Exception):
    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __str__(self) -> str:
        raise RuntimeError("no str")


class NotAnException(BaseException):
    """As some test tools and schedulers have them."""


class Endless(Exception):
    def __repr__(self) -> str:
        return "x" * 3_000_000


def raising(error: BaseException) -> Any:
    def fail(job: str) -> None:
        if job == "bad":
            raise error

    return fail


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (SystemExit(3), "SystemExit(3)"),
        (Unprintable(), "Unprintable (its repr() raised RuntimeError)"),
        (NotAnException("odd"), "NotAnException('odd')"),
        (StopIteration("a"), "StopIteration"),
        (StopAsyncIteration(), "StopAsyncIteration"),
        (asyncio.CancelledError("inside"), "CancelledError"),
        (TimeoutError(), "TimeoutError()"),
        (
            BaseExceptionGroup("two", [SystemExit(1), ValueError("x")]),
            "BaseExceptionGroup('two', [SystemExit(1), ValueError('x')])",
        ),
        (RecursionError("deep"), "RecursionError('deep')"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "\udcff"), "UnicodeDecodeError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_whatever_a_body_raises_is_recorded_and_stops_no_other(
    kind: str, error: BaseException, shown: str
) -> None:
    fail = raising(error)

    async def coroutine(job: str) -> None:
        await asyncio.sleep(0)
        fail(job)

    task, done = task_of(coroutine if kind == "async" else fail, "bad", *jobs_of(20))
    report = await run(task, deadline=10)
    assert shown in done.data["bad"]["exception"]
    assert done.data["bad"]["success"] is False
    assert {job for job, record in done.data.items() if record["success"]} == set(jobs_of(20))
    assert report.exit_code == 1


async def test_a_record_of_a_failure_can_be_stored_everywhere(tmp_path: Path) -> None:
    async def fail(job: str) -> None:
        raise OSError(2, "no such file \udcff \x00", "n\udcfeme")

    stores: list[pdt.MetadataRepository] = [
        pdt.SqliteMetadataRepository(tmp_path / "records.sqlite", "task"),
        pdt.YamlMetadataFileRepository(tmp_path / "done"),
    ]
    tasks = []
    for number, store in enumerate(stores):
        task = pdt.InProcessSyncTask(f"task{number}", store, func=fail)
        task.link("input", memory("a"), is_input=True)
        tasks.append(task)
    report = await run(*tasks, store=tmp_path / "store")
    assert report.failed == Counter(task0=1, task1=1)
    for store in stores:
        record = await store.info("a")
        assert record["success"] is False
        assert record["start_time"].utcoffset() == timedelta(0)
        assert "".join(record["traceback"]).startswith("Traceback")


async def test_a_body_that_gives_up_on_itself_with_a_timeout_has_failed() -> None:
    async def body(job: str) -> None:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    task, done = task_of(body, "a")
    await run(task)
    assert done.data["a"]["exception"] == "TimeoutError()"


async def test_a_deep_traceback_is_cut_to_its_last_frames() -> None:
    def deep(level: int) -> None:
        if not level:
            raise ValueError("bottom")
        deep(level - 1)

    async def body(job: str) -> None:
        deep(600)

    task, done = task_of(body, "a")
    await run(task)
    assert len("".join(done.data["a"]["traceback"])) < 40_000
    assert "ValueError: bottom" in done.data["a"]["traceback"][-1]


async def test_a_plain_function_that_returns_a_coroutine_has_not_done_its_work() -> None:
    """As a decorator that is not asynchronous makes of an asynchronous body."""
    called: list[str] = []

    async def body(job: str) -> None:
        called.append(job)

    def decorated(job: str) -> Any:
        return body(job)

    task, done = task_of(decorated, "a")
    await run(task)
    assert not called
    assert not done.data["a"]["success"]
    assert "returned coroutine, so that nothing was done" in done.data["a"]["exception"]


async def test_ctrl_c_in_a_body_is_no_failure_of_its_job() -> None:
    done = memory()

    async def body(job: str) -> None:
        raise KeyboardInterrupt

    task = pdt.InProcessSyncTask("task", done, func=body)
    with pytest.raises(KeyboardInterrupt):
        await task.launch("a")
    assert not done.data


async def test_a_cancelled_launch_records_nothing() -> None:
    done = memory()
    task = pdt.InProcessSyncTask("task", done, func=lambda **links: None)

    async def body(job: str) -> None:
        await asyncio.Event().wait()

    task.func = body
    launch = asyncio.get_running_loop().create_task(task.launch("a"))
    await asyncio.sleep(0.01)
    launch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await launch
    assert not done.data


# A job that is cancelled.


@pytest.mark.parametrize("timeout", [None, 60])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_cancelled_job_is_recorded_and_the_others_go_on(kind: str, timeout: float | None) -> None:
    begun, release, ends = threading.Event(), threading.Event(), []

    async def waits(job: str) -> None:
        begun.set()
        try:
            await asyncio.sleep(60 if job == "a" else 0.01)
        finally:
            ends.append(job)

    def blocks(job: str) -> None:
        begun.set()
        release.wait(60 if job == "a" else 0.01)

    task, done = task_of(waits if kind == "async" else blocks, "a")
    task.timeout = timeout
    task.retry = pdt.Retry(attempts=3, delay=0)
    async with pipeline_of(task) as pipeline, asyncio.timeout(20), asyncio.TaskGroup() as group:
        running = group.create_task(pipeline.run())
        await asyncio.to_thread(begun.wait, 10)
        task.links["input"].repo.data["b"] = {}  # type: ignore[attr-defined]
        await task.cancel("nobody")
        await task.cancel("a")
        await task.cancel("a")
        report = await running
        release.set()
    assert report.failed == Counter(task=1)
    assert report.succeeded == Counter(task=1)
    record = done.data["a"]
    assert (record["success"], record["reason"], record["attempt"]) == (False, "cancelled", 1)
    assert "it was cancelled" in record["exception"]
    assert kind == "plain" or ends == ["a", "b"]


async def test_a_body_that_finishes_although_it_is_cancelled_has_succeeded() -> None:
    begun = asyncio.Event()

    async def body(job: str) -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

    task, done = task_of(body, "a")
    launch = asyncio.get_running_loop().create_task(task.launch("a"))
    await begun.wait()
    await task.cancel("a")
    await launch
    assert done.data["a"]["success"]
    assert not launch.cancelling()


# A record that cannot be read.


@pytest.mark.parametrize("kind", KINDS)
async def test_a_broken_record_blocks_its_job_until_it_is_repaired(kind: str, tmp_path: Path) -> None:
    inputs = pdt.YamlMetadataFileRepository(tmp_path / "in")
    (tmp_path / "in").mkdir()
    for job in jobs_of(10):
        (tmp_path / "in" / f"{job}.yaml").write_text("value: 1\n")
    broken = tmp_path / "in" / "j00003.yaml"
    broken.write_text("value: [1")
    calls: Counter[str] = Counter()

    async def coroutine(job: str, input: Any) -> None:
        calls[job] += 1
        await input.info(job)

    def plain(job: str, input: Any) -> None:
        calls[job] += 1
        input.info(job)

    done = memory()
    task = pdt.InProcessSyncTask("task", done, func=coroutine if kind == "async" else plain)
    task.link("input", inputs, is_input=True)
    async with pipeline_of(task, store=tmp_path / "store") as pipeline:
        report = await pipeline.run()
        assert set(done.data) == set(jobs_of(10)) - {"j00003"}
        assert calls["j00003"] == 1
        assert report.exit_code == 5
        [problem] = report.problems
        assert problem.startswith("task j00003: record 'j00003' in YamlMetadataFileRepository")
        verdict = await pipeline.explain(task, "j00003")
        assert verdict.kind.value == "blocked"
        assert "record 'j00003'" in verdict.reason
        broken.write_text("value: 1\n")
        assert (await pipeline.run()).exit_code == 0
        assert set(done.data) == set(jobs_of(10))
        assert calls == Counter({**dict.fromkeys(jobs_of(10), 1), "j00003": 2})


async def test_a_repaired_record_lets_its_job_run_when_the_pipeline_is_opened_again() -> None:
    broken = [True]

    async def body(job: str) -> None:
        if broken:
            raise CorruptRecordError("store", job, "torn")

    task, done = task_of(body, "a")
    assert (await run(task)).exit_code == 5
    broken.clear()
    assert (await run(task)).exit_code == 0
    assert set(done.data) == {"a"}


# Settings, and launches without an engine.


async def test_without_metadata_no_end_is_recorded_and_each_job_runs_once() -> None:
    calls: Counter[str] = Counter()

    async def body(job: str) -> None:
        calls[job] += 1
        if job == "j00001":
            raise ValueError(job)

    task, done = task_of(body, *jobs_of(5))
    async with pipeline_of(task) as pipeline, asyncio.timeout(10):
        pipeline.settings(metadata=False)
        report = await pipeline.run()
        assert calls == Counter(jobs_of(5))
        assert not done.data
        assert report.launched == Counter(task=5)
        verdict = await pipeline.explain(task, "j00000")
        assert not verdict.is_ready
        assert "it is running" not in verdict.reason


async def test_synchronous_changes_nothing_for_bodies_in_this_process() -> None:
    task, done = task_of(lambda job: None, *jobs_of(5))
    async with pipeline_of(task) as pipeline:
        pipeline.settings(synchronous=True)
        assert await pipeline.update()
    assert len(done.data) == 5


async def test_a_task_can_be_used_without_a_pipeline() -> None:
    calls: list[str] = []

    async def body(job: str, input: Any) -> None:
        calls.append(job)

    task, done = task_of(body, "a")
    await task.validate()
    assert await task.update() is False
    await task.launch("a")
    assert calls == ["a"]
    assert done.data["a"]["success"]


@pytest.mark.parametrize("job", ["../x", "", "x" * 64, "a\nb", "a\0b", "-a"])
async def test_an_invalid_job_id_is_not_launched(job: str) -> None:
    calls: list[str] = []
    task, done = task_of(calls.append)
    task.func = lambda job: calls.append(job)
    with pytest.raises(InvalidJobIdError):
        await task.launch(job)
    assert not calls
    assert not done.data


async def test_a_ready_override_launches_its_own_jobs_once() -> None:
    calls: Counter[str] = Counter()

    async def body(job: str) -> None:
        calls[job] += 1

    ready = memory("x", "y")
    done = memory("y")
    task = pdt.InProcessSyncTask("task", done, ready, func=body)
    task.link("input", memory("a"), is_input=True)
    async with pipeline_of(task) as pipeline, asyncio.timeout(10):
        report = await pipeline.run()
        assert calls == Counter("xy")
        assert report.exit_code == 0
        assert (await pipeline.explain(task, "a")).link == "ready"


async def test_a_job_that_becomes_ready_again_by_an_override_is_launched_again() -> None:
    calls: Counter[str] = Counter()
    ready = memory("x")

    async def body(job: str) -> None:
        calls[job] += 1
        del ready.data[job]
        if calls[job] < 3:
            asyncio.get_running_loop().call_later(0.05, ready.data.setdefault, job, {})

    task = pdt.InProcessSyncTask("task", memory(), ready, func=body)
    async with pipeline_of(task) as pipeline, asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(pipeline.run(forever=True))
        await until(lambda: calls["x"] == 3)
        pipeline.stop()
    assert calls["x"] == 3


async def test_a_disabled_task_launches_nothing_and_may_be_incomplete() -> None:
    calls: list[str] = []
    off = pdt.InProcessSyncTask("off", memory(), func=lambda job: calls.append(job), disabled=True)
    on, done = task_of(lambda job: None, "a", name="on")
    async with pipeline_of(off, on) as pipeline:
        await pipeline.run()
        assert await pipeline.gather_ready_jobs(off) == set()
        assert (await pipeline.explain(off, "a")).kind.value == "disabled"
    assert not calls
    assert set(done.data) == {"a"}


async def test_a_machine_that_is_out_of_threads_fails_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdt.engine.launch.FIRST_DELAY", 0.01)
    left = [3]
    original = threading.Thread.start

    def start(self: threading.Thread) -> None:
        if self.name == "pdt-body" and left[0]:
            left[0] -= 1
            raise RuntimeError("can't start new thread")
        original(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    task, done = task_of(lambda job: None, "a", "b")
    report = await run(task)
    assert all(record["success"] for record in done.data.values())
    assert set(done.data) == {"a", "b"}
    assert report.exit_code == 0


async def test_plain_bodies_do_not_hold_the_loop_and_run_side_by_side() -> None:
    barrier = threading.Barrier(3, timeout=5)

    def body(job: str) -> None:
        barrier.wait()

    task, done = task_of(body, "a", "b", "c")
    await run(task, deadline=10)
    assert all(record["success"] for record in done.data.values())


async def test_bodies_run_in_the_context_of_their_exceptions() -> None:
    """A cause is part of the recorded traceback."""

    async def body(job: str) -> None:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise RuntimeError("outer") from error

    task, done = task_of(body, "a")
    await run(task)
    text = "".join(done.data["a"]["traceback"])
    assert "KeyError: 'inner'" in text
    assert "The above exception was the direct cause" in text


# Attempts.


async def test_no_body_runs_whose_attempts_cannot_be_counted(tmp_path: Path) -> None:
    """What a newer pdt has left is not overwritten by what an older one knows."""
    runs: list[str] = []

    async def body(job: str) -> None:
        runs.append(job)

    done = pdt.SqliteMetadataRepository(tmp_path / "records.sqlite", "done")
    task = pdt.InProcessSyncTask("task", done, func=body, retry=3)
    task.link("input", memory("a"), is_input=True)
    async with pipeline_of(task, store=tmp_path / "store") as pipeline:
        await pipeline.ledger.insert("end/task/a/1", {"format": 99, "reason": "exception"})
        running = asyncio.get_running_loop().create_task(pipeline.run())
        await until(lambda: pipeline.runner.launcher.failures)
        verdict = await pipeline.explain(task, "a")
        pipeline.stop()
        await running
    assert runs == []
    assert "a newer pdt wrote it (format 99, this one reads 1)" in verdict.reason


async def test_a_failure_without_a_policy_needs_no_ledger(tmp_path: Path) -> None:
    async def body(job: str) -> None:
        raise ValueError

    done = pdt.SqliteMetadataRepository(tmp_path / "records.sqlite", "done")
    task = pdt.InProcessSyncTask("task", done, func=body)
    task.link("input", memory("a"), is_input=True)
    report = await run(task, store=tmp_path / "store")
    assert report.failed == Counter(task=1)
    assert not (tmp_path / "store" / "attempts.sqlite").exists()
