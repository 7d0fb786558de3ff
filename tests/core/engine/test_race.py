"""Jobs that move from live to done while a round lists: each is executed exactly once all the same."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Collection, Set

import pytest

import pdt
from tests.core.engine.samples import Delayed, Stranger, counting_task, jobs_of, pipeline_of, run

JOBS = 3000


@pytest.mark.parametrize("delay", [0.0, 0.02])
async def test_every_job_is_executed_exactly_once_while_jobs_move_during_listings(delay: float) -> None:
    inputs = Delayed({job: {} for job in jobs_of(JOBS)}, delay)
    stranger = Stranger("stranger", Delayed(delay=delay), Delayed(delay=delay), seconds=3 * delay)
    stranger.link("input", inputs, is_input=True)
    after, done, calls = counting_task("after", inputs, done=Delayed(delay=delay))
    after.plug(stranger)
    report = await run(stranger, after)
    assert stranger.executions == Counter(jobs_of(JOBS))
    assert calls == Counter(jobs_of(JOBS))
    assert set(done.data) == set(jobs_of(JOBS))
    assert report.exit_code == 0


async def test_threads_that_end_jobs_while_a_round_lists_end_each_once() -> None:
    from concurrent.futures import ThreadPoolExecutor

    inputs = Delayed({job: {} for job in jobs_of(JOBS)})
    done = Delayed()
    calls: list[str] = []

    def body(job: str) -> None:
        calls.append(job)

    with ThreadPoolExecutor(4) as threads:
        task = pdt.ExecutorTask("threads", threads, done, func=body)
        task.link("input", inputs, is_input=True)
        await run(task)
    assert Counter(calls) == Counter(jobs_of(JOBS))
    assert set(done.data) == set(jobs_of(JOBS))


async def test_what_a_job_leaves_is_asked_for_before_what_it_enters() -> None:
    """A job that the listing of live missed ends while it is asked for again."""

    class Lagging(pdt.InProcessMetadataRepository):
        async def keys(self) -> Set[str]:
            return set()

    class Ending(pdt.InProcessMetadataRepository):
        async def present(self, jobs: Collection[str]) -> set[str]:
            found = await super().present(jobs)
            self.data.update(live.data)
            live.data.clear()
            return found

    live, done = Lagging({"a": {}}), Ending()
    stranger = Stranger("stranger", live, done)
    stranger.link("input", pdt.InProcessMetadataRepository({"a": {}}), is_input=True)
    await run(stranger)
    assert not stranger.executions
    assert set(done.data) == {"a"}


async def test_what_another_writer_marks_done_during_the_listing_is_not_executed() -> None:
    taken = set(jobs_of(1000)[::2])

    class DoneElsewhere(pdt.InProcessMetadataRepository):
        """Other jobs appear in it just after it was listed for the first time."""

        async def keys(self) -> Set[str]:
            found = set(self.data)
            self.data.update({job: {"by": "another"} for job in taken})
            return found

    task, done, calls = counting_task(
        "task", pdt.InProcessMetadataRepository({job: {} for job in jobs_of(1000)}), done=DoneElsewhere()
    )
    await run(task)
    assert calls == Counter(set(jobs_of(1000)) - taken)
    assert len(done.data) == 1000


async def test_an_external_writer_and_the_engine_share_the_jobs_without_overlap() -> None:
    """What is in done when a job is about to start is not executed, however slow the listings are."""
    late: list[str] = []

    class Watched(Delayed):
        async def present(self, jobs: Collection[str]) -> set[str]:
            found = await super().present(jobs)
            late.extend(found)
            return found

    done = Watched(delay=0.02)

    async def body(job: str) -> None:
        await asyncio.sleep(0)

    jobs = jobs_of(600)
    task, _, calls = counting_task("task", Delayed({job: {} for job in jobs}), body, done=done)

    async def write_elsewhere() -> None:
        for job in random.sample(jobs, 300):
            if job not in calls and job not in done.data:
                done.data[job] = {"by": "another"}
            await asyncio.sleep(0.001)

    async with pipeline_of(task) as pipeline, asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(write_elsewhere())
        await pipeline.run()
    elsewhere = {job for job, record in done.data.items() if "by" in record}
    assert set(done.data) == set(jobs)
    assert set(calls.values()) == {1}
    assert not set(late) & set(calls)
    assert elsewhere
