"""What the engine tells plugins, what it asks them, and that none of them holds it up."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import pytest

import pdt
from pdt.engine.report import Report
from pdt.engine.schedule import Denial
from pdt.plugins import Registry, hookimpl, set_default_registry
from pdt.plugins.notify import Observer, PluginHooks
from tests.core.engine.samples import amount, counting_task, jobs_of, memory, pipeline_of, run, until

Install = Callable[..., None]


@pytest.fixture
def install() -> Iterator[Install]:
    """Return a function that makes functions, by the names of their hooks, the only plugin of this process."""
    previous: list[Any] = []

    def put(**functions: Callable[..., Any]) -> None:
        module = ModuleType("plugin")
        module.__dict__["PDT_API"] = 1
        for hook, function in functions.items():
            module.__dict__[hook] = hookimpl(function)
        registry = Registry((), modules={"plugin": module})
        assert [plugin.reason for plugin in registry.plugins if plugin.reason] == []
        previous.append(set_default_registry(registry))

    yield put
    set_default_registry(previous[0] if previous else None)


async def test_every_launch_and_end_is_told_once_with_its_record(install: Install) -> None:
    launched: list[tuple[str, str]] = []
    finished: dict[str, Any] = {}

    def on_launched(pipeline: pdt.Pipeline, task: pdt.Task, job: str) -> None:
        assert pipeline.is_open
        launched.append((task.name, job))

    async def on_finished(task: pdt.Task, job: str, record: Mapping[str, Any]) -> None:
        assert job not in finished
        finished[job] = record

    install(pdt_job_launched=on_launched, pdt_job_finished=on_finished)

    async def body(job: str) -> None:
        if job == "j00001":
            raise ValueError(job)

    task, done, _ = counting_task("task", memory(*jobs_of(100)), body)
    await run(task)
    assert sorted(launched) == [("task", job) for job in jobs_of(100)]
    assert finished == done.data
    assert finished["j00001"]["success"] is False


async def test_nobody_is_told_of_an_end_that_is_not_recorded_yet(install: Install) -> None:
    missing: list[str] = []

    def on_finished(job: str) -> None:
        if job not in done.data:
            missing.append(job)

    install(pdt_job_finished=on_finished)
    task, done, _ = counting_task("task", memory(*jobs_of(300)))
    await run(task)
    assert not missing


async def test_rounds_are_told_with_what_was_done_so_far(install: Install) -> None:
    seen: list[int] = []
    install(pdt_round_finished=lambda summary: seen.append(summary.succeeded.total()))
    first, _, _ = counting_task("first", memory("a", "b"))
    second, _, _ = counting_task("second", memory("a", "b"))
    second.plug(first)
    report = await run(first, second)
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert report.succeeded.total() == 4
    assert isinstance(report, Report)


async def test_a_denial_is_told_when_it_begins(install: Install) -> None:
    told: list[tuple[str, str, Denial]] = []
    install(pdt_resources_denied=lambda task, job, denial: told.append((task.name, job, denial)))
    quota = pdt.ResourceManager(amount(1, 0, None))
    task, _, _ = counting_task(
        "task",
        memory(*jobs_of(4)),
        lambda job: asyncio.sleep(0.02),
        resource_manager=quota,
        job_resources=amount(1),
    )
    await run(task)
    assert 1 <= len(told) <= 4
    name, job, denial = told[0]
    assert (name, job) == ("task", "j00001")
    assert (denial.resource, denial.wanted, denial.used, denial.cap) == (pdt.ResourceType.CPU, 1, 1, 1)


# Vetoes.


async def test_a_vetoed_job_is_not_launched_and_the_run_ends_without_it(install: Install) -> None:
    install(pdt_should_launch=lambda jobs: {job: "on hold" for job in jobs if job.endswith("3")})
    task, done, calls = counting_task("task", memory(*jobs_of(40)))
    async with pipeline_of(task) as pipeline, asyncio.timeout(10):
        report = await pipeline.run()
        assert set(done.data) == {job for job in jobs_of(40) if not job.endswith("3")}
        assert set(calls.values()) == {1}
        verdict = await pipeline.explain(task, "j00003")
        assert (verdict.kind.value, verdict.reason) == ("vetoed", "a plugin holds it back: plugin: on hold")
        assert report.exit_code == 0


async def test_a_veto_that_is_lifted_lets_the_job_go(install: Install) -> None:
    held = [True]
    asked: list[tuple[str, ...]] = []

    def should_launch(task: pdt.Task, jobs: Sequence[str]) -> Mapping[str, str]:
        asked.append(tuple(jobs))
        return {job: "maintenance" for job in jobs if held}

    install(pdt_should_launch=should_launch)
    task, done, _ = counting_task("task", memory("a", "b"))
    async with pipeline_of(task) as pipeline, asyncio.TaskGroup() as group:
        group.create_task(pipeline.run(forever=True))
        await until(lambda: len(asked) > 3)
        assert not done.data
        held.clear()
        await until(lambda: len(done.data) == 2)
        pipeline.stop()
    assert asked[0] == ("a", "b")


async def test_a_vetoed_job_takes_nothing_of_its_quota(install: Install) -> None:
    install(pdt_should_launch=lambda jobs: {job: "no" for job in jobs if job == "j00000"})
    quota = pdt.ResourceManager(amount(1, 0, None))
    task, done, _ = counting_task("task", memory(*jobs_of(5)), resource_manager=quota, job_resources=amount(1))
    await run(task)
    assert set(done.data) == set(jobs_of(5)) - {"j00000"}
    assert (await quota.usage()).cpu == 0


@pytest.mark.parametrize("answer", [None, 42, ["a"], {"a": 5}, {"a": ""}, {"elsewhere": "no"}])
async def test_garbage_for_a_veto_is_no_veto(install: Install, answer: object) -> None:
    install(pdt_should_launch=lambda jobs: answer)
    task, done, _ = counting_task("task", memory("a", "b"))
    report = await run(task)
    assert set(done.data) == {"a", "b"}
    assert report.exit_code == 0


async def test_a_veto_that_is_gone_with_its_job_is_forgotten(install: Install) -> None:
    """A run for ever does not look again and again for a job that was withdrawn."""
    inputs = memory("a", "b")
    asked = 0

    def should_launch(jobs: Sequence[str]) -> Mapping[str, str]:
        nonlocal asked
        asked += 1
        return {job: "no" for job in jobs if job == "a"}

    install(pdt_should_launch=should_launch)
    task, done, _ = counting_task("task", inputs)
    async with pipeline_of(task) as pipeline, asyncio.TaskGroup() as group:
        group.create_task(pipeline.run(forever=True))
        await until(lambda: asked > 2)
        del inputs.data["a"]
        looks = 0
        original = pipeline.runner.look

        async def look() -> None:
            nonlocal looks
            looks += 1
            await original()

        pipeline.runner.look = look  # type: ignore[method-assign]
        await asyncio.sleep(0.5)
        assert looks < 20
        pipeline.stop()
    assert set(done.data) == {"b"}


# Misbehaviour.


def hooks_of(monkeypatch: pytest.MonkeyPatch, hook: str, function: Callable[..., Any], **limits: Any) -> PluginHooks:
    """Put one observer in the place of every plugin, with shorter limits than usual."""
    hooks = PluginHooks({hook: (Observer("plugin", hook, function, ()),)}, **limits)
    monkeypatch.setattr("pdt.pipeline.current_hooks", lambda: hooks)
    return hooks


@pytest.mark.parametrize("hook", ["pdt_job_launched", "pdt_job_finished", "pdt_round_finished", "pdt_resources_denied"])
async def test_an_observer_that_never_returns_holds_up_no_job(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = hooks_of(monkeypatch, hook, lambda: asyncio.Event().wait(), deadline=1.0)
    ended: list[float] = []

    async def note(job: str) -> None:
        ended.append(time.monotonic())

    quota = pdt.ResourceManager(amount(2, 0, None))
    first, _, _ = counting_task(
        "first", memory(*jobs_of(8)), lambda job: asyncio.sleep(0.001), resource_manager=quota, job_resources=amount(1)
    )
    second, _, _ = counting_task("second", memory(*jobs_of(8)))
    second.plug(first)
    third, done, _ = counting_task("third", memory(*jobs_of(8)), note)
    third.plug(second)
    started = time.monotonic()
    await run(first, second, third)
    assert len(done.data) == 8
    assert max(ended) - started < 0.9
    assert hooks.problems


@pytest.mark.parametrize("hook", ["pdt_job_launched", "pdt_job_finished", "pdt_round_finished", "pdt_pipeline_opened"])
@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)])
async def test_an_observer_that_raises_stops_nothing(
    hook: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    hooks = hooks_of(monkeypatch, hook, fail)
    task, done, calls = counting_task("task", memory(*jobs_of(20)))
    report = await run(task)
    assert set(calls.values()) == {1}
    assert len(done.data) == 20
    assert report.exit_code == 0
    assert {problem.dist for problem in hooks.problems} == {"plugin"}


@pytest.mark.blocking(reason="an observer that blocks is what is tested")
async def test_an_observer_that_blocks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = hooks_of(monkeypatch, "pdt_job_finished", lambda: time.sleep(0.4), blocking=0.1)
    task, done, _ = counting_task("task", memory("a"))
    await run(task)
    assert set(done.data) == {"a"}
    assert [problem.dist for problem in hooks.problems] == ["plugin"]


async def test_observers_of_many_jobs_leave_nothing_behind(install: Install) -> None:
    seen: Counter[str] = Counter()

    async def on_finished(job: str) -> None:
        await asyncio.sleep(0.01)
        seen[job] += 1

    install(pdt_job_finished=on_finished)
    before = len(asyncio.all_tasks())
    task, _, _ = counting_task("task", memory(*jobs_of(600)))
    await run(task)
    assert seen == Counter(jobs_of(600))
    assert len(asyncio.all_tasks()) == before
