"""Blocking views: repositories as plain functions see them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

import pdt
from pdt.repository.base import Opening
from pdt.task.blocking import BlockingView, complete
from tests.core.engine.samples import amount, memory, pipeline_of, run


class Awaiting(pdt.InProcessBlobRepository):
    """Blobs in memory behind a store that really waits, and only on the event loop."""

    inline = False

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        for key in list(self.data):
            await asyncio.sleep(0.001)
            yield key

    async def contains(self, item: str) -> bool:
        await asyncio.sleep(0.001)
        return item in self.data

    def open(self, job: str, mode: Any = "r") -> Any:
        opening = super().open(job, mode)

        async def wait() -> Any:
            await asyncio.sleep(0.001)
            return await opening

        return Opening(wait)


def blobs(kind: str, tmp_path: Path) -> Any:
    if kind == "memory":
        return pdt.InProcessBlobRepository()
    if kind == "awaiting":
        return Awaiting()
    repo = pdt.FileRepository(tmp_path / "blobs", ".txt")
    (tmp_path / "blobs").mkdir(exist_ok=True)
    return repo


def records(kind: str, tmp_path: Path) -> Any:
    made: dict[str, pdt.Repository] = {
        "memory": memory(),
        "sqlite": pdt.SqliteMetadataRepository(tmp_path / "records.sqlite", "r"),
        "yaml": pdt.YamlMetadataFileRepository(tmp_path / "yaml"),
        "mapped": memory().map(lambda info: info, allow_deletes=True),
    }
    return made[kind]


async def in_body(body: Callable[..., None], **links: pdt.Repository) -> None:
    """Run a plain function as the body of a task with these links, and raise what it raises."""
    errors: list[BaseException] = []
    loop_thread = threading.get_ident()

    def checked(job: str, **views: Any) -> None:
        assert threading.get_ident() != loop_thread
        try:
            body(job, **{name: views[name] for name in links})
        except BaseException as error:
            errors.append(error)

    task = pdt.InProcessSyncTask("task", memory(), func=checked)
    for name, repo in links.items():
        await repo.validate()
        task.link(name, repo)
    await task.validate()
    await task.launch("job1")
    for error in errors:
        raise error


@pytest.mark.parametrize("kind", ["memory", "file", "awaiting"])
async def test_blobs_are_read_and_written_with_plain_with(kind: str, tmp_path: Path) -> None:
    repo = blobs(kind, tmp_path)

    def body(job: str, out: Any) -> None:
        with out.open(job, "w") as file:
            file.write("one\n")
            file.write("two é")
        with out.open(job) as file:
            assert file.read() == "one\ntwo é"
        with out.open(job, "rb") as file:
            assert file.read(3) == b"one"
            assert file.read() == "\ntwo é".encode()
        with out.open("other", "wb") as file:
            file.write(b"\x00\xff")
        assert out.contains(job)
        assert not out.contains("missing")
        assert sorted(out) == sorted([job, "other"])
        out.delete("other")
        assert list(out) == [job]
        assert job in out

    await in_body(body, out=repo)
    async with repo.open("job1", "r") as file:
        assert await file.read() == "one\ntwo é"


@pytest.mark.parametrize("kind", ["memory", "file", "awaiting"])
async def test_a_block_that_is_left_by_an_exception_writes_nothing(kind: str, tmp_path: Path) -> None:
    repo = blobs(kind, tmp_path)

    def body(job: str, out: Any) -> None:
        with pytest.raises(ZeroDivisionError), out.open(job, "w") as file:
            file.write(f"half {1 / 0}")
        assert not out.contains(job)

    await in_body(body, out=repo)


@pytest.mark.parametrize("kind", ["memory", "sqlite", "yaml", "mapped"])
async def test_records_are_loaded_and_stored_by_plain_calls(kind: str, tmp_path: Path) -> None:
    repo = records(kind, tmp_path)

    def body(job: str, out: Any) -> None:
        assert out.info(job) == {}
        out.dump(job, {"words": 3})
        assert out.info(job) == {"words": 3}
        assert out.info_all() == {job: {"words": 3}}
        assert set(out.keys()) == {job}
        for key in out:
            assert key == job
        out.delete(job)
        assert not out.contains(job)
        out.dump(job, {"words": 4})

    await in_body(body, out=repo)
    assert await repo.info("job1") == {"words": 4}


async def test_errors_of_the_repository_are_raised_in_the_body(tmp_path: Path) -> None:
    def body(job: str, out: Any, blobs: Any) -> None:
        with pytest.raises(pdt.errors.InvalidJobIdError):
            out.dump("../x", 1)
        with pytest.raises(KeyError), blobs.open("missing") as file:
            file.read()
        with pytest.raises(ValueError, match="mode"):
            blobs.open(job, "x")
        with pytest.raises(AttributeError):
            _ = out.nonsense

    await in_body(body, out=memory(), blobs=Awaiting())


async def test_what_is_no_coroutine_is_passed_as_it_is(tmp_path: Path) -> None:
    files = pdt.FileRepository(tmp_path / "files", ".txt")

    def body(job: str, files: Any, data: Any) -> None:
        assert files.fullpath(job) == tmp_path / "files" / f"{job}.txt"
        assert files.basedir == tmp_path / "files"
        assert files.info(job) == str(tmp_path / "files" / f"{job}.txt")
        assert data.data == {"x": {}}
        assert data.is_valid_job_id("ok")
        assert "InProcessMetadataRepository(1 jobs)" in repr(data)

    await in_body(body, files=files, data=memory("x"))


async def test_the_members_of_a_group_are_read_in_a_for_loop() -> None:
    source = pdt.InProcessBlobRepository({"a1": b"one", "a2": b"two"})
    group = pdt.GroupRepository(source, pdt.InProcessMetadataRepository(dict.fromkeys(["a1", "a2"], "job1")))
    read = {}

    def body(job: str, group: Any) -> None:
        assert group.members(job) == ["a1", "a2"]
        for member, blob in group.open(job):
            with blob as file:
                read[member] = file.read()

    await in_body(body, group=group)
    assert read == {"a1": "one", "a2": "two"}


async def test_streams_are_copied_by_their_own_calls() -> None:
    source, target = pdt.InProcessBlobRepository({"job1": b"x" * 100_000}), Awaiting()

    def body(job: str, source: Any, target: Any) -> None:
        with source.open(job, "rb") as reader, target.open(job, "wb") as writer:
            while block := reader.read(4096):
                writer.write(block)

    await in_body(body, source=source, target=target)
    assert target.data == {"job1": b"x" * 100_000}


async def test_many_threads_use_views_of_one_store_at_once() -> None:
    out = Awaiting()
    inputs = memory(*[f"j{number:03}" for number in range(200)])

    def body(job: str, out: Any) -> None:
        with out.open(job, "w") as file:
            file.write(job)
        assert out.contains(job)

    task = pdt.InProcessSyncTask("task", memory(), func=body)
    task.link("input", inputs, is_input=True)
    task.link("out", out, is_output=True)
    report = await run(task)
    assert report.exit_code == 0
    assert out.data == {job: job.encode() for job in inputs.data}


async def test_bodies_that_wait_for_a_store_that_needs_threads_do_not_take_them_all() -> None:
    class Threaded(pdt.InProcessMetadataRepository):
        inline = False

        async def info(self, job: str) -> Any:
            return await asyncio.to_thread(self.data.get, job)

    calls: list[Any] = []

    def body(job: str, input: Any) -> None:
        calls.append(input.info(job))

    task = pdt.InProcessSyncTask("task", memory(), func=body)
    task.link("input", Threaded({f"j{number}": number for number in range(100)}), is_input=True)
    await run(task, deadline=10)
    assert sorted(calls) == list(range(100))


async def test_a_body_sees_the_context_that_its_run_was_started_in() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("set")
    seen: list[str] = []
    task = pdt.InProcessSyncTask("task", memory(), func=lambda job: seen.append(variable.get()))
    task.link("input", memory("a"), is_input=True)
    await run(task)
    assert seen == ["set"]


async def test_a_body_that_runs_on_after_its_run_was_cancelled_is_not_started_beside_itself() -> None:
    release = threading.Event()
    together = 0
    most = 0
    calls = 0

    def body(job: str) -> None:
        nonlocal together, most, calls
        calls += 1
        together += 1
        most = max(most, together)
        release.wait(10)
        together -= 1

    done = memory()
    quota = pdt.ResourceManager(amount(1, 0, None))
    task = pdt.InProcessSyncTask("task", done, func=body, resource_manager=quota, job_resources=amount(1))
    task.link("input", memory("a", "b"), is_input=True)
    with pytest.raises(TimeoutError):
        await run(task, deadline=0.2)
    assert not done.data
    assert list(task.running_jobs) == ["a"]
    assert (await quota.usage()).cpu == 1
    async with pipeline_of(task) as pipeline, asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(pipeline.run())
        await asyncio.sleep(0.2)
        assert calls == 1
        release.set()
    assert set(done.data) == {"a", "b"}
    assert (calls, most) == (3, 1)
    assert not task.running_jobs
    assert (await quota.usage()).cpu == 0


def test_what_never_waits_needs_no_loop() -> None:
    view = BlockingView(pdt.InProcessMetadataRepository({"a": 1}), complete)
    assert view.info("a") == 1
    assert list(view) == ["a"]


def test_what_waits_without_a_loop_says_so() -> None:
    class Waits:
        def __await__(self) -> Generator[None, None, None]:
            yield

    with pytest.raises(RuntimeError, match="needs an event loop"):
        complete(Waits())


def test_what_raises_raises_through() -> None:
    async def fails() -> None:
        raise LookupError("x")

    with pytest.raises(LookupError, match="x"):
        complete(fails())
