"""What is said of one job in a running pipeline: the scheduler's own decision, with the limit that it meets."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pdt
from pdt.engine.verdict import Verdict, VerdictKind
from tests.core.engine.samples import amount, counting_task, jobs_of, memory, pipeline_of, until


async def test_a_job_that_never_fits_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    quota = pdt.ResourceManager(pdt.Resources.parse("1", "1Gi"))
    task, _, _ = counting_task(
        "task", memory("a"), resource_manager=quota, job_resources=pdt.Resources.parse("500m", "2Gi")
    )
    async with pipeline_of(task) as pipeline:
        verdict = await pipeline.explain(task, "a")
    assert verdict.kind is VerdictKind.NEVER_FITS
    assert (verdict.resource, verdict.wanted, verdict.cap) == ("mem", str(2 * 1024**3), str(1024**3))
    assert "the quota is" in verdict.reason


async def test_a_denied_job_names_resource_wanted_used_and_cap() -> None:
    quota = pdt.ResourceManager(amount(2, 0, None))
    release = asyncio.Event()
    task, _, calls = counting_task(
        "task",
        memory("a", "b", "c"),
        lambda job: release.wait(),
        resource_manager=quota,
        job_resources=amount(1),
    )
    async with pipeline_of(task) as pipeline, asyncio.TaskGroup() as group:
        group.create_task(pipeline.run())
        await until(lambda: len(calls) == 2)
        assert pipeline.runner.explain(task, "a").kind is VerdictKind.RUNNING
        await until(lambda: pipeline.runner.launcher.denials)
        verdict = pipeline.runner.explain(task, "c")
        release.set()
    assert verdict.kind is VerdictKind.DENIED
    assert (verdict.resource, verdict.scope, verdict.wanted, verdict.used, verdict.cap) == (
        "cpu",
        "quota",
        "1",
        "2",
        "2",
    )


async def test_what_is_held_for_a_job_that_waited_is_said_to_be() -> None:
    quota = pdt.ResourceManager(amount(2, 0, None))
    release = asyncio.Event()
    options: dict[str, Any] = {"resource_manager": quota}
    holder, _, held = counting_task(
        "holder", memory("h"), lambda job: release.wait(), job_resources=amount(1), **options
    )
    big, _, _ = counting_task("big", memory("b"), job_resources=amount(2), **options)
    small, _, calls = counting_task("small", memory(), job_resources=amount(1), **options)
    inputs = small.links["input"].repo
    async with pipeline_of(holder, big, small, patience=0.05) as pipeline, asyncio.TaskGroup() as group:
        group.create_task(pipeline.run(forever=True))
        await until(lambda: held)
        await asyncio.sleep(0.2)
        inputs.data["s"] = {}  # type: ignore[attr-defined]
        await until(lambda: "small" in pipeline.runner.launcher.denials)
        verdict = pipeline.runner.explain(small, "s")
        assert not calls
        release.set()
        await until(lambda: calls)
        pipeline.stop()
    assert verdict.kind is VerdictKind.DENIED
    assert "held for jobs that waited longer" in verdict.reason


class Failing(pdt.Task):
    """A task whose launches raise."""

    def __init__(self, name: str, inputs: pdt.Repository) -> None:
        super().__init__(name)
        self.launches = 0
        self.link("input", inputs, is_input=True)
        self.link("done", memory(), is_status=True, inhibits_start=True)

    async def update(self) -> bool:
        return False

    async def launch(self, job: str) -> None:
        self.launches += 1
        raise ConnectionError("away")


async def test_a_failed_launch_says_when_it_is_tried_again_and_then_that_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pdt.engine.launch.FIRST_DELAY", 0.1)
    monkeypatch.setattr("pdt.engine.launch.LONGEST_DELAY", 0.1)
    task = Failing("task", memory("a"))
    async with pipeline_of(task) as pipeline, asyncio.TaskGroup() as group:
        running = group.create_task(pipeline.run())
        await until(lambda: pipeline.runner.launcher.failures)
        verdict = pipeline.runner.explain(task, "a")
        assert verdict.kind is VerdictKind.BACKING_OFF
        assert verdict.until is not None
        assert 0 <= verdict.until <= 0.1
        assert "ConnectionError: away" in verdict.reason
        await running
        verdict = await pipeline.explain(task, "a")
    assert verdict.kind is VerdictKind.BLOCKED
    assert verdict.reason == "it could not be launched: ConnectionError: away"


async def test_an_invalid_job_is_said_to_be() -> None:
    task, _, _ = counting_task("task", memory("a"))
    async with pipeline_of(task) as pipeline:
        verdict = await pipeline.explain(task, "../x")
    assert verdict.kind is VerdictKind.INVALID
    assert "contains '/'" in verdict.reason


def test_only_ready_is_ready() -> None:
    for kind in VerdictKind:
        assert Verdict("task", "job", kind, "reason").is_ready is (kind is VerdictKind.READY)


@st.composite
def plugged(draw: st.DrawFn) -> list[tuple[set[str], set[str], list[int], str]]:
    """Draw tasks: what each reads, what holds it back, the tasks plugged into it, and which jobs fail."""
    jobs = jobs_of(4)
    some = st.sets(st.sampled_from(jobs))
    return [
        (
            draw(some),
            draw(some),
            draw(st.lists(st.integers(0, number - 1), unique=True)) if number else [],
            draw(st.sampled_from(jobs)),
        )
        for number in range(draw(st.integers(1, 5)))
    ]


@settings(max_examples=40, deadline=None)
@given(plugged())
def test_a_run_does_what_the_definition_says_and_leaves_nothing_ready(
    specification: list[tuple[set[str], set[str], list[int], str]],
) -> None:
    expected: list[set[str]] = []
    for inputs, held, upstream, _ in specification:
        expected.append((inputs - held).intersection(*(expected[number] for number in upstream)))

    waiting = {VerdictKind.MISSING, VerdictKind.INHIBITED}

    async def check() -> None:
        tasks: list[pdt.InProcessSyncTask] = []
        executions: list[Counter[str]] = []
        for number, (inputs, held, upstream, failing) in enumerate(specification):

            async def body(job: str, failing: str = failing) -> None:
                if job == failing:
                    raise ValueError(job)

            task, _, calls = counting_task(f"task{number}", memory(*inputs), body)
            task.link("held", memory(*held), inhibits_start=True)
            for other in upstream:
                task.plug(tasks[other])
            tasks.append(task)
            executions.append(calls)
        async with pipeline_of(*tasks) as pipeline, asyncio.timeout(20):
            plan = {task.name: await pipeline.gather_ready_jobs(task) for task in tasks}
            for task in tasks:
                for job in jobs_of(4):
                    assert (await pipeline.explain(task, job)).is_ready == (job in plan[task.name])
            await pipeline.run()
            assert executions == [Counter(jobs) for jobs in expected]
            for task in tasks:
                for job in jobs_of(4):
                    verdict = await pipeline.explain(task, job)
                    done = await task.done.contains(job)
                    assert verdict.kind in ({VerdictKind.INHIBITED} if done else waiting)

    asyncio.run(check())
