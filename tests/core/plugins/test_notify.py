"""A plugin that raises, blocks, hangs or returns garbage is reported, and everybody else goes on."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import pytest

from pdt.plugins import Hooks, Registry, hookimpl
from pdt.plugins.contract import OBSERVER_HOOKS, VETO_HOOK
from pdt.plugins.notify import LATE_CALLS, Observer, PluginHooks

Told = list[tuple[str, ...]]


def hooks_of(**implementations: Callable[..., Any]) -> Hooks:
    """Return the hooks of plugins that have one function each, called after its distribution and the hook."""
    modules = {}
    for name, function in implementations.items():
        dist, _, hook = name.partition("__")
        made = ModuleType(dist)
        made.__dict__.update({"PDT_API": 1, hook: hookimpl(function)})
        modules[dist] = made
    registry = Registry((), modules=modules)
    assert [plugin.reason for plugin in registry.plugins if plugin.reason] == []
    return registry.hooks


def observing(*functions: Callable[..., Any], hook: str = "pdt_job_launched", **limits: Any) -> PluginHooks:
    """Return hooks with these observers of a job, in distributions a, b, c and so on."""
    observers = tuple(
        Observer(chr(ord("a") + index), hook, function, ("job",)) for index, function in enumerate(functions)
    )
    return PluginHooks({hook: observers}, **limits)


async def launch(hooks: Hooks, job: str = "j") -> None:
    """Tell that a job was launched."""
    await hooks.notify("pdt_job_launched", pipeline=None, task=None, job=job)


async def test_without_plugins_nothing_is_active() -> None:
    hooks = Registry(()).hooks
    assert type(hooks) is Hooks
    assert not any(hooks.active(hook) for hook in (*OBSERVER_HOOKS, VETO_HOOK))
    await launch(hooks)
    assert hooks.vetoes(None, None, ["a"]) == {}
    assert hooks.problems == []
    with pytest.raises(ValueError, match="the engine calls no hook pdt_job_finish"):
        hooks.active("pdt_job_finish")


async def test_observers_are_told_in_order_with_the_arguments_that_they_take() -> None:
    told: Told = []

    async def b(task: str, job: str) -> None:
        await asyncio.sleep(0)
        told.append(("b", task, job))

    hooks = hooks_of(
        c__pdt_job_launched=lambda: told.append(("c",)),
        a__pdt_job_launched=lambda job: told.append(("a", job)),
        b__pdt_job_launched=b,
    )
    assert hooks.active("pdt_job_launched")
    assert not hooks.active("pdt_job_finished")
    await hooks.notify("pdt_job_launched", pipeline="p", task="t", job="j")
    assert told == [("c",), ("a", "j"), ("b", "t", "j")]
    with pytest.raises(ValueError, match="the engine calls no hook"):
        hooks.active("pdt_job_lunched")


async def test_order_can_be_asked_for() -> None:
    told: list[str] = []
    modules = {}
    for name, options in {"last": {"trylast": True}, "middle": {}, "first": {"tryfirst": True}}.items():
        made = ModuleType(name)

        def pdt_job_launched(said: str = name) -> None:
            told.append(said)

        made.__dict__.update(PDT_API=1, pdt_job_launched=hookimpl(**options)(pdt_job_launched))  # type: ignore[call-overload]
        modules[name] = made
    await launch(Registry((), modules=modules).hooks)
    assert told == ["first", "middle", "last"]


async def test_a_missing_argument_is_the_engines_fault() -> None:
    with pytest.raises(KeyError):
        await observing(lambda job: None).notify("pdt_job_launched", pipeline=None)


@pytest.mark.parametrize("error", [ValueError("oh"), SystemExit("oh")])
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_one_that_raises_is_reported_and_the_next_is_told(
    caplog: pytest.LogCaptureFixture, error: BaseException, asynchronous: bool
) -> None:
    told: list[str] = []

    def raises(job: str) -> None:
        raise error

    async def raises_later(job: str) -> None:
        await asyncio.sleep(0)
        raise error

    hooks = observing(raises_later if asynchronous else raises, told.append)
    for job in ("one", "two"):
        await launch(hooks, job)
    assert told == ["one", "two"]
    (problem,) = hooks.problems
    assert problem == ("a", "pdt_job_launched", f"raised {type(error).__name__}: oh", 2)
    (logged,) = caplog.records
    assert logged.getMessage() == f"plugin a, pdt_job_launched: raised {type(error).__name__}: oh"
    assert logged.exc_info is not None


async def test_a_thousand_failures_are_four_lines(caplog: pytest.LogCaptureFixture) -> None:
    def raises(job: str) -> None:
        raise ValueError(job)

    hooks = observing(raises)
    for number in range(1500):
        await launch(hooks, str(number))
    assert hooks.problems[0].times == 1500
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "raised ValueError: 0",
        "raised ValueError: 9 (10 times)",
        "raised ValueError: 99 (100 times)",
        "raised ValueError: 999 (1000 times)",
    ]


async def test_cancelling_passes_through_and_reaches_the_plugin() -> None:
    started, cleaned = asyncio.Event(), asyncio.Event()
    told: list[str] = []

    async def waits(job: str) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    hooks = observing(waits, told.append)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(launch(hooks))
        await started.wait()
        task.cancel()
    assert task.cancelled()
    assert cleaned.is_set()
    assert told == []
    assert hooks.problems == []


async def test_a_cancelled_call_raised_by_a_plugin_itself_passes_through() -> None:
    def cancels(job: str) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await launch(observing(cancels))


async def test_a_plugin_whose_own_work_was_cancelled_stops_nobody() -> None:
    told: list[str] = []

    async def gave_up(job: str) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    hooks = observing(gave_up, told.append)
    await launch(hooks)
    assert told == ["j"]
    assert hooks.problems[0].text == "was cancelled by something other than pdt"


@pytest.mark.parametrize("obstinate", [False, True])
def test_one_that_never_returns_is_abandoned(obstinate: bool) -> None:
    told: list[str] = []
    calls = 0

    async def hangs(job: str) -> None:
        nonlocal calls
        calls += 1
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if not obstinate:
                    raise

    hooks = observing(hangs, told.append, deadline=0.01)

    async def main() -> None:
        for number in range(LATE_CALLS + 2):
            await launch(hooks, str(number))

    asyncio.run(main())
    assert told == [str(number) for number in range(LATE_CALLS + 2)]
    assert calls == LATE_CALLS
    assert [problem.text for problem in hooks.problems] == [
        "did not return within 0.01 s and was abandoned",
        f"was late {LATE_CALLS} times and is not called again",
    ]
    assert hooks.problems[0].times == LATE_CALLS
    # What the loop left behind complains when it is collected: let that be in this test.
    hooks._abandoned.clear()
    gc.collect()


async def test_what_an_abandoned_call_raises_later_is_not_an_unhandled_error() -> None:
    release = asyncio.Event()
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))

    async def hangs(job: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await release.wait()
            raise ValueError(job)

    hooks = observing(hangs, deadline=0.01)
    await launch(hooks)
    (task,) = hooks._abandoned
    release.set()
    await asyncio.wait({task})
    del task
    await asyncio.sleep(0)
    assert hooks._abandoned == set()
    assert unhandled == []


async def test_any_awaitable_is_awaited() -> None:
    seen: list[str] = []

    class Later:
        def __await__(self) -> Iterator[None]:
            yield
            seen.append("later")

    def future(job: str) -> Awaitable[None]:
        made: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        made.get_loop().call_soon(made.set_result, None)
        made.add_done_callback(lambda _: seen.append("future"))
        return made

    hooks = observing(lambda job: Later(), future)
    await launch(hooks)
    await asyncio.sleep(0)
    assert seen == ["later", "future"]
    assert hooks.problems == []


async def test_garbage_is_reported_and_ignored(caplog: pytest.LogCaptureFixture) -> None:
    async def generates(job: str) -> AsyncIterator[str]:
        yield job

    hooks = observing(lambda job: 42, generates)
    await launch(hooks)
    await launch(hooks)
    assert [(problem.dist, problem.text, problem.times) for problem in hooks.problems] == [
        ("a", "returned int, which means nothing to pdt", 2),
        ("b", "returned async_generator, which means nothing to pdt", 2),
    ]
    assert len(caplog.records) == 2


def test_a_veto_wins_over_abstaining_and_the_first_gives_the_reason() -> None:
    def first(jobs: Sequence[str]) -> Mapping[str, str]:
        return {"x": "too heavy"}

    def second(jobs: Sequence[str]) -> Mapping[str, str] | None:
        return {job: "Sunday" for job in jobs if job != "z"}

    hooks = hooks_of(
        a__pdt_should_launch=lambda: None,
        b__pdt_should_launch=first,
        c__pdt_should_launch=second,
        d__pdt_should_launch=lambda: {},
    )
    assert hooks.active("pdt_should_launch")
    assert hooks.vetoes("p", "t", ["x", "y", "z"]) == {"x": "b: too heavy", "y": "c: Sunday"}
    assert hooks.problems == []


def test_a_plugin_cannot_change_the_batch_and_sees_one_call() -> None:
    batches: list[Sequence[str]] = []

    def asked(pipeline: str, task: str, jobs: Sequence[str]) -> None:
        assert (pipeline, task) == ("p", "t")
        batches.append(jobs)

    hooks = hooks_of(a__pdt_should_launch=asked)
    assert hooks.vetoes("p", "t", iter(["x", "y"])) == {}
    assert batches == [("x", "y")]


@pytest.mark.parametrize(
    ("answer", "refused", "complaint"),
    [
        (True, {}, "returned bool, not a mapping of jobs to reasons"),
        (["x"], {}, "returned list, not a mapping of jobs to reasons"),
        ("x", {}, "returned str, not a mapping of jobs to reasons"),
        ({"x": None, "y": "why"}, {"y": "a: why"}, "vetoed 'x' for a reason that is not a text: None"),
        ({"x": "", "y": "why"}, {"y": "a: why"}, "vetoed 'x' for a reason that is not a text: ''"),
        ({"q": "why", "y": "why"}, {"y": "a: why"}, "vetoed 'q', which it was not asked about"),
        ({3: "why"}, {}, "vetoed 3, which it was not asked about"),
    ],
)
def test_a_veto_that_is_garbage_is_ignored(answer: object, refused: dict[str, str], complaint: str) -> None:
    hooks = hooks_of(a__pdt_should_launch=lambda: answer)
    assert hooks.vetoes(None, None, ["x", "y"]) == refused
    assert [problem.text for problem in hooks.problems] == [complaint]


async def test_a_veto_may_not_be_awaited() -> None:
    async def pdt_should_launch(jobs: Sequence[str]) -> Mapping[str, str]:
        return {"x": "later"}

    hooks = hooks_of(a__pdt_should_launch=pdt_should_launch)
    assert hooks.vetoes(None, None, ["x"]) == {}
    assert hooks.problems[0].text == "returned coroutine, not a mapping of jobs to reasons"


@pytest.mark.parametrize("error", [ValueError("oh"), SystemExit("oh")])
def test_a_veto_that_raises_is_no_veto(error: BaseException) -> None:
    def raises(jobs: Sequence[str]) -> None:
        raise error

    class Cursed(dict[str, str]):
        def items(self) -> Any:
            raise ValueError("cursed")

    hooks = hooks_of(
        a__pdt_should_launch=raises,
        b__pdt_should_launch=lambda: Cursed(),
        c__pdt_should_launch=lambda: {"x": "no"},
    )
    assert hooks.vetoes(None, None, ["x"]) == {"x": "c: no"}
    assert [problem.text for problem in hooks.problems] == [
        f"raised {type(error).__name__}: oh",
        "raised ValueError: cursed",
    ]


@pytest.mark.blocking(reason="the plugin blocks on purpose")
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_one_that_blocks_the_loop_is_named_while_it_does(
    caplog: pytest.LogCaptureFixture, asynchronous: bool
) -> None:
    reported = threading.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            reported.set()

    def blocks(job: str) -> None:
        assert reported.wait(10)

    async def blocks_later(job: str) -> None:
        await asyncio.sleep(0)
        assert reported.wait(10)

    listener = Listener()
    logging.getLogger("pdt.plugins").addHandler(listener)
    try:
        hooks = observing(blocks_later if asynchronous else blocks, blocking=0.05)
        await launch(hooks)
    finally:
        logging.getLogger("pdt.plugins").removeHandler(listener)
    (problem,) = hooks.problems
    assert problem.text.startswith("has blocked the event loop for 0.05 s, and nothing else moves:\n")
    assert "reported.wait(10)" in problem.text
    assert (problem.dist, problem.times) == ("a", 1)


async def test_what_is_awaited_is_not_blocking() -> None:
    async def waits(job: str) -> None:
        await asyncio.sleep(0.2)

    hooks = observing(waits, blocking=0.02)
    await launch(hooks)
    assert hooks.problems == []
