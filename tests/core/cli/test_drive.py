"""Which pipelines run without an event loop, and that the others get one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from pdt import InProcessMetadataRepository, InProcessSyncTask, MapRepository, Pipeline, Repository, Session
from pdt.cli.drive import drive, needs_loop


def one_task(
    repo: Repository, session: Session | None = None, kind: type[InProcessSyncTask] = InProcessSyncTask
) -> Pipeline:
    task = kind("t", InProcessMetadataRepository(), func=lambda job: None)
    task.link("input", repo, is_input=True)
    return Pipeline([task], session, name="p")


class OwnRepository(InProcessMetadataRepository):
    """A stranger's class, which inherits what it may not promise."""


class OwnTask(InProcessSyncTask):
    """A stranger's task."""


class OwnPipeline(Pipeline):
    """A stranger's pipeline."""


def with_resource() -> Session:
    session = Session()

    @session.resource
    async def connection() -> AsyncGenerator[str, None]:
        await asyncio.sleep(0)
        yield "live"

    return session


def test_what_is_pdts_own_and_local_needs_none(pipeline: Pipeline) -> None:
    assert not needs_loop(pipeline)
    assert not needs_loop(one_task(InProcessMetadataRepository()))


@pytest.mark.parametrize(
    "pipeline",
    [
        one_task(OwnRepository()),
        one_task(InProcessMetadataRepository(), with_resource()),
        one_task(InProcessMetadataRepository(), kind=OwnTask),
        one_task(MapRepository(InProcessMetadataRepository(), lambda info: info)),
        one_task(MapRepository(OwnRepository(), lambda info: info)),
        OwnPipeline([], name="p"),
    ],
    ids=["repository", "session", "task", "function", "child", "pipeline"],
)
def test_whatever_may_wait_needs_one(pipeline: Pipeline) -> None:
    async def running(_: Pipeline) -> bool:
        await asyncio.sleep(0)
        return pipeline.is_open

    assert needs_loop(pipeline)
    assert drive(pipeline, running)
    assert not pipeline.is_open


@pytest.mark.parametrize("loop", [True, False])
def test_the_pipeline_is_closed_whatever_happens(pipeline: Pipeline, tmp_path: Path, loop: bool) -> None:
    async def failing(opened: Pipeline) -> None:
        assert opened.is_open
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drive(pipeline, failing, loop=loop)
    assert not pipeline.is_open
