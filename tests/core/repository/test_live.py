"""The jobs that a task is running, as a repository."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import pdt
from tests.core.repository.hostile import HOSTILE


@pytest.fixture
def release() -> Iterator[threading.Event]:
    release = threading.Event()
    yield release
    release.set()


@pytest.fixture
def task(release: threading.Event) -> Iterator[pdt.ExecutorTask]:
    with ThreadPoolExecutor(1) as executor:
        task = pdt.ExecutorTask("wait", executor, pdt.InProcessMetadataRepository())

        @task
        def wait(job: str) -> None:
            release.wait(10)

        assert wait is task
        yield task
        release.set()


async def test_lists_the_running_jobs_and_cancels_those_that_wait(
    task: pdt.ExecutorTask, release: threading.Event
) -> None:
    repo = task.links["live"].repo
    assert isinstance(repo, pdt.ExecutorLiveRepo)
    assert repo.task is task
    assert await repo.keys() == set()
    await task.validate()
    for job in ("a", "b", "c"):
        await task.launch(job)
    assert (
        {job async for job in repo} == await repo.keys() == await repo.present(["a", "b", "c", "d"]) == {"a", "b", "c"}
    )
    assert await repo.contains("b")
    assert await repo.info("b") is None  # type: ignore[func-returns-value]
    await repo.delete("c")
    await repo.delete("unknown")
    assert not await repo.contains("c")
    assert (repo.inline, repo.shared) == (True, False)
    assert repr(repo) == "ExecutorLiveRepo('wait')"
    release.set()
    while await repo.keys():
        await task.update()
    assert (await task.done.keys()) >= {"a", "b"}


async def test_refuses_what_is_no_job_id(task: pdt.ExecutorTask) -> None:
    for job in HOSTILE:
        if isinstance(job, str):
            assert not await task.live.contains(job)
        for method in (task.live.info, task.live.delete):
            with pytest.raises(pdt.InvalidJobIdError):
                await method(job)
