"""A run that shares its pipeline with other controllers: those that are there, and those that are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import pdt
from pdt.attempts.book import AttemptBook, Claim
from pdt.task.record import now
from tests.core.engine.samples import until
from tests.support.lock_holder import held_elsewhere

#: A controller that does not exist.
GONE = 12345


@pytest.fixture
def shared(tmp_path: Path) -> pdt.Pipeline:
    """Return a pipeline of one function with the jobs a, b and c."""
    return make(tmp_path)


def make(place: Path, **options: Any) -> pdt.Pipeline:
    (place / "in").mkdir(exist_ok=True)
    for job in "abc":
        (place / "in" / job).write_text(job)
    task = pdt.InProcessSyncTask("count", done_in(place), **options)
    task.link("source", pdt.FileRepository(place / "in"), is_input=True)

    @task
    async def body(job: str, source: pdt.FileRepository) -> None:
        ran(pipeline).append(job)

    pipeline = pdt.Pipeline([task], name="shared", store=place / ".pdt")
    pipeline.began = []  # type: ignore[attr-defined]
    return pipeline


def done_in(place: Path) -> pdt.SqliteMetadataRepository:
    return pdt.SqliteMetadataRepository(place / ".pdt" / "records.sqlite", "done")


def ran(pipeline: pdt.Pipeline) -> list[str]:
    """Return the jobs whose bodies have run, in order."""
    found: list[str] = pipeline.began  # type: ignore[attr-defined]
    return found


def has_tried(pipeline: pdt.Pipeline, job: str) -> bool:
    """Tell whether a run has found a ready job claimed by another controller."""
    return ("count", job) in pipeline.runner.launcher.idle


async def claim_as(pipeline: pdt.Pipeline, owner: int, *jobs: str) -> AttemptBook:
    """Claim jobs in the name of another controller."""
    book = AttemptBook(pipeline.ledger, "count", owner=owner, owned={owner})
    await book.claim(Claim(job, 1, f"{number:032x}") for number, job in enumerate(jobs))
    return book


async def test_every_job_is_claimed_and_no_claim_is_left(shared: pdt.Pipeline) -> None:
    async with shared, asyncio.timeout(20):
        report = await shared.run(shared=True)
        assert report.succeeded == {"count": 3}
        assert await shared.ledger.list() == []
    assert sorted(ran(shared)) == ["a", "b", "c"]


async def test_what_one_that_is_gone_has_claimed_is_run(shared: pdt.Pipeline) -> None:
    async with shared, asyncio.timeout(20):
        await claim_as(shared, GONE, "b")
        await claim_as(shared, 0, "c")  # a controller that worked alone
        report = await shared.run(shared=True)
        assert report.succeeded == {"count": 3}
        assert await shared.ledger.list() == []


async def test_what_one_that_is_there_has_claimed_is_waited_for(shared: pdt.Pipeline) -> None:
    async with shared, asyncio.timeout(30):
        shared.take_control(shared=True)
        assert shared.shared_lock is not None
        with held_elsewhere(shared.shared_lock.path, "shared") as other:
            await claim_as(shared, other.number, "a", "b")
            running = asyncio.get_running_loop().create_task(shared.run())
            await until(lambda: has_tried(shared, "a") and has_tried(shared, "b") and ran(shared) == ["c"])
            other.kill()
            report = await running
    assert report.succeeded == {"count": 3}
    assert sorted(ran(shared)) == ["a", "b", "c"]


async def test_a_run_ends_when_another_has_done_the_rest(shared: pdt.Pipeline, tmp_path: Path) -> None:
    async with shared, asyncio.timeout(30):
        shared.take_control(shared=True)
        assert shared.shared_lock is not None
        with held_elsewhere(shared.shared_lock.path, "shared") as other:
            book = await claim_as(shared, other.number, "a", "b")
            running = asyncio.get_running_loop().create_task(shared.run())
            await until(lambda: has_tried(shared, "a") and ran(shared) == ["c"])
            records = done_in(tmp_path)
            await records.dump_all({"a": {"success": True}, "b": {"success": True}})
            await until(lambda: not has_tried(shared, "a"))
            assert not running.done()  # it is not settled: what it writes may make other jobs ready
            await book.settle(["a", "b"])
            report = await running
    assert report.succeeded == {"count": 1}
    assert report.exit_code == 0


async def test_a_job_that_cannot_be_run_here_is_left_to_the_others(tmp_path: Path) -> None:
    pipeline = make(tmp_path)
    task = pipeline.tasks["count"]
    assert isinstance(task, pdt.TrackedTask)
    launch = task.launch

    async def refuse(job: str) -> None:
        if job == "b":
            raise OSError("not here")
        await launch(job)

    task.launch = refuse  # type: ignore[method-assign]
    async with pipeline, asyncio.timeout(30):
        running = asyncio.get_running_loop().create_task(pipeline.run(shared=True))
        await until(lambda: ("count", "b") in pipeline.runner.launcher.failures)
        await until(lambda: not task.claimed)
        assert not running.done()  # it waits to try it again, and meanwhile nobody has it
        await done_in(tmp_path).dump("b", {"success": True})
        await running
    assert sorted(ran(pipeline)) == ["a", "c"]


async def test_what_cannot_be_taken_over_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdt.engine.others.FIRST_DELAY", 0.001)
    pipeline = make(tmp_path)

    async def fail(owners: Collection[int]) -> None:
        raise pdt.BackendError("the store is away")

    pipeline.tasks["count"].take_over = fail  # type: ignore[attr-defined]
    async with pipeline, asyncio.timeout(30):
        await claim_as(pipeline, GONE, "x")
        report = await pipeline.run(shared=True)
    assert report.exit_code == 5
    [problem] = report.problems
    assert "what is left of task 'count' could not be taken over: BackendError: the store is away" in str(problem)
    assert report.succeeded == {"count": 3}


async def test_retries_stay_with_their_controller_and_count(tmp_path: Path) -> None:
    pipeline = make(tmp_path, retry=pdt.Retry(2, delay=0.01))
    task = pipeline.tasks["count"]
    assert isinstance(task, pdt.InProcessSyncTask)

    @task
    async def fail(job: str) -> None:
        ran(pipeline).append(job)
        raise ValueError("never")

    async with pipeline, asyncio.timeout(30):
        report = await pipeline.run(shared=True)
        assert await pipeline.ledger.list() == []
    assert report.failed == {"count": 3}
    assert sorted(ran(pipeline)) == [*"aabbcc"]


async def test_what_another_has_done_meanwhile_is_not_done_again_although_it_stays_ready(tmp_path: Path) -> None:
    """A repository of the user's says what is ready; as in a run of its own, each job runs once."""
    pipeline = make(tmp_path, ready=pdt.FileRepository(tmp_path / "in"))
    records = done_in(tmp_path)
    early, late = now() - timedelta(hours=1), now() + timedelta(hours=1)
    await records.dump_all({"a": {"success": True, "end_time": early}, "b": {"success": True, "end_time": late}})
    async with pipeline, asyncio.timeout(30):
        report = await pipeline.run(shared=True)
    assert sorted(ran(pipeline)) == ["a", "c"]
    assert report.succeeded == {"count": 2}


# What cannot be shared.


async def test_a_pipeline_in_memory_cannot_be_shared(tmp_path: Path) -> None:
    task = pdt.InProcessSyncTask("count", pdt.InProcessMetadataRepository())
    task.link("source", pdt.InProcessMetadataRepository({"a": {}}), is_input=True)

    @task
    async def body(job: str) -> None:
        raise AssertionError

    async with pdt.Pipeline([task], store=tmp_path) as pipeline:
        with pytest.raises(pdt.ConfigurationError, match=r"cannot be shared .*: its done lives in this process"):
            await pipeline.run(shared=True)
    assert list(tmp_path.iterdir()) == []


async def test_jobs_without_records_cannot_be_shared(shared: pdt.Pipeline) -> None:
    shared.settings(metadata=False)
    async with shared:
        with pytest.raises(pdt.ConfigurationError, match="its jobs leave no records\nfix: leave out settings"):
            shared.take_control(shared=True)


async def test_a_task_that_claims_nothing_cannot_be_shared() -> None:
    class Odd(pdt.Task):
        async def update(self) -> bool:
            return False

        async def launch(self, job: str) -> None:
            raise AssertionError

    odd = Odd("odd")
    odd.link("source", pdt.InProcessMetadataRepository(), is_input=True)
    odd.link("out", pdt.InProcessMetadataRepository(), is_output=True, inhibits_start=True)
    async with pdt.Pipeline([odd]) as pipeline:
        with pytest.raises(pdt.ConfigurationError, match="Odd claims no jobs\nfix: derive it from TrackedTask"):
            pipeline.take_control(shared=True)


async def test_control_stays_as_it_was_taken(shared: pdt.Pipeline) -> None:
    async with shared:
        await shared.run(shared=True)
        await shared.run()
        locks = [shared.shared_lock]
    async with shared:
        await shared.run()
        locks.append(shared.shared_lock)
        with pytest.raises(pdt.ConfigurationError, match="has pipeline 'shared' for itself"):
            await shared.run(shared=True)
    assert [lock is not None for lock in locks] == [True, False]
