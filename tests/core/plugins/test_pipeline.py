"""Fault F26: whatever a plugin does, every job of the pipeline is run, recorded and told of."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import pdt
from pdt.plugins import Registry, hookimpl, set_default_registry

JOBS = {f"job{number}" for number in range(20)}
OF_PIPELINES = ("pdt_configure_pipeline", "pdt_pipeline_opened", "pdt_round_finished", "pdt_pipeline_closed")
OF_JOBS = ("pdt_job_launched", "pdt_job_finished")


def plugin(name: str, *implementations: tuple[str, Callable[..., Any]]) -> ModuleType:
    """Return a plugin module with an implementation of each of these hooks."""
    made = ModuleType(name)
    made.__dict__["PDT_API"] = 1
    for hook, function in implementations:
        made.__dict__[hook] = hookimpl(function)
    return made


def raises() -> None:
    raise RuntimeError("no")


async def gives_up() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


def vetoes(jobs: Sequence[str]) -> Mapping[str, str]:
    return {job: "not this one" for job in jobs if job == "job7"}


@pytest.fixture
def told() -> Iterator[list[tuple[str, str]]]:
    """Install a plugin that takes down what it is told, and others that raise, give up and return garbage."""
    seen: list[tuple[str, str]] = []

    def of_pipeline(hook: str) -> tuple[str, Callable[..., Any]]:
        def happened(pipeline: pdt.Pipeline) -> None:
            seen.append((hook, pipeline.name))

        return hook, happened

    def of_job(hook: str) -> tuple[str, Callable[..., Any]]:
        async def happened(job: str) -> None:
            await asyncio.sleep(0)
            seen.append((hook, job))

        return hook, happened

    observed = (*OF_PIPELINES, *OF_JOBS)
    modules = [
        plugin("raising", *((hook, raises) for hook in (*observed, "pdt_should_launch"))),
        plugin("garbage", *((hook, lambda: 42) for hook in (*observed, "pdt_should_launch"))),
        plugin("giving-up", *((hook, gives_up) for hook in observed)),
        plugin("good", *map(of_pipeline, OF_PIPELINES), *map(of_job, OF_JOBS), ("pdt_should_launch", vetoes)),
    ]
    previous = set_default_registry(Registry((), modules={module.__name__: module for module in modules}))
    yield seen
    set_default_registry(previous)


async def test_a_pipeline_runs_whatever_its_plugins_do(told: list[tuple[str, str]], tmp_path: Path) -> None:
    done = pdt.InProcessMetadataRepository()

    async def count(job: str) -> None:
        await asyncio.sleep(0)

    task = pdt.InProcessSyncTask("count", done, func=count)
    task.link("name", pdt.InProcessMetadataRepository({job: {} for job in JOBS}), is_input=True)
    async with pdt.Pipeline([task], pdt.Session(), name="counting", store=tmp_path / "store") as pipeline:
        async with asyncio.timeout(30):
            await pipeline.run()
        hooks = pipeline.hooks
    assert set(done.data) == JOBS - {"job7"}
    for hook in OF_JOBS:
        assert sorted(job for event, job in told if event == hook) == sorted(done.data)
    events = [event for event, _ in told]
    assert events[:2] == ["pdt_configure_pipeline", "pdt_pipeline_opened"]
    assert "pdt_round_finished" in events
    assert events[-1] == "pdt_pipeline_closed"
    assert {problem.dist for problem in hooks.problems} == {"raising", "garbage", "giving-up"}


@pytest.mark.blocking(reason="the body holds the loop until the vetoed job is due again")
@pytest.mark.usefixtures("told")
async def test_a_vetoed_job_that_is_due_again_does_not_keep_others_from_their_turn(tmp_path: Path) -> None:
    done = pdt.InProcessMetadataRepository()

    async def holds(job: str) -> None:
        time.sleep(1.1)  # noqa: ASYNC251
        await asyncio.sleep(0.01)

    task = pdt.InProcessSyncTask("count", done, func=holds)
    task.link("name", pdt.InProcessMetadataRepository({"job1": {}, "job7": {}}), is_input=True)
    async with pdt.Pipeline([task], pdt.Session(), name="holding", store=tmp_path / "store") as pipeline:
        await pipeline.run()
    assert set(done.data) == {"job1"}
