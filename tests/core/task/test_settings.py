"""Pipeline.settings: the same for every kind of task."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

import pdt
from tests.core.engine.samples import memory
from tests.core.task.scripts import Place

KINDS = ("script", "coroutine", "plain", "executor")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def failing(kind: str, place: Place, jobs: tuple[str, ...], retry: pdt.Retry) -> pdt.TrackedTask:
    """Return a task in which jobs note that they run, and "bad" fails."""
    runs = place.path / "runs"
    if kind == "script":
        script = f"echo $PDT_JOB >>{runs}; test $PDT_JOB = good"
        return place.task(script, *jobs, retry=retry, failed=place.failed)

    def plain(job: str) -> None:
        with runs.open("a") as file:
            file.write(f"{job}\n")
        if job == "bad":
            raise ValueError("it fails")

    async def coroutine(job: str) -> None:
        plain(job)

    task: pdt.FunctionTask
    if kind == "executor":
        make = partial(ThreadPoolExecutor, 1)
        task = pdt.ExecutorTask("task", make, place.done, func=plain, retry=retry, failed=place.failed)
    else:
        func = plain if kind == "plain" else coroutine
        task = pdt.InProcessSyncTask("task", place.done, func=func, retry=retry, failed=place.failed)
    task.link("input", memory(*jobs), is_input=True)
    return task


@pytest.mark.parametrize("kind", KINDS)
async def test_without_metadata_jobs_are_tried_again_and_not_recorded(kind: str, place: Place) -> None:
    task = failing(kind, place, ("good", "bad"), pdt.Retry(attempts=3, delay=0.01))
    for number in (1, 2):
        async with place.pipeline(task) as pipeline, asyncio.timeout(30):
            pipeline.settings(metadata=False)
            report = await pipeline.run()
            assert await pipeline.ledger.list() == []
        assert (report.succeeded, report.failed, report.retried) == ({"task": 1}, {"task": 1}, {"task": 2})
        runs = Counter((place.path / "runs").read_text().split())
        assert runs == {"good": number, "bad": 3 * number}
    assert await place.done.keys() == await place.failed.keys() == set()


@pytest.mark.parametrize("kind", KINDS)
async def test_without_metadata_a_job_without_a_policy_runs_once(kind: str, place: Place) -> None:
    task = failing(kind, place, ("good", "bad"), pdt.Retry())
    async with place.pipeline(task) as pipeline, asyncio.timeout(30):
        pipeline.settings(metadata=False)
        report = await pipeline.run()
    assert (report.succeeded, report.failed) == ({"task": 1}, {"task": 1})
    assert sorted((place.path / "runs").read_text().split()) == ["bad", "good"]
