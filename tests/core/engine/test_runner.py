"""The run loop: event driven, and stopped by no job, task or store that misbehaves."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import pdt
from pdt.engine import launch as launch_module
from pdt.engine import look as look_module
from pdt.engine import runner as runner_module
from pdt.engine.verdict import VerdictKind
from tests.core.engine.samples import Delayed, Stranger, amount, counting_task, jobs_of, memory, pipeline_of, run, until


class Launches(pdt.Task):
    """A task whose launches do what they are told, and leave a key in done unless they raise.

    :param behave: called with the job and the number of the launch, from 1.
    """

    def __init__(self, name: str, inputs: pdt.Repository, behave: Callable[[str, int], Any]) -> None:
        super().__init__(name)
        self.done = memory()
        self.launches: Counter[str] = Counter()
        self.at: list[float] = []
        self._behave = behave
        self.link("input", inputs, is_input=True)
        self.link("done", self.done, is_status=True, inhibits_start=True, required_for_output=True)

    async def update(self) -> bool:
        return False

    async def launch(self, job: str) -> None:
        self.launches[job] += 1
        self.at.append(time.monotonic())
        result = self._behave(job, self.launches[job])
        if asyncio.iscoroutine(result):
            await result
        self.done.data[job] = {}


class Updates(pdt.Task):
    """A task whose update does what it is told."""

    def __init__(self, name: str, behave: Callable[[], Any]) -> None:
        super().__init__(name)
        self._behave = behave
        self.updates = 0
        self.link("input", memory(), is_input=True)
        self.link("done", memory(), is_status=True, inhibits_start=True)

    async def update(self) -> bool:
        self.updates += 1
        result = self._behave()
        if asyncio.iscoroutine(result):
            result = await result
        return result  # type: ignore[no-any-return]

    async def launch(self, job: str) -> None:
        raise AssertionError("nothing is ready")


# Event driven.


async def test_a_chain_takes_no_fixed_time_per_stage() -> None:
    stages = 8
    first = memory(*jobs_of(20))
    tasks: list[pdt.Task] = []
    for stage in range(stages):
        task, _, calls = counting_task(f"stage{stage}", first, lambda job: asyncio.sleep(0.001))
        if tasks:
            task.plug(tasks[-1])
        tasks.append(task)
    started = time.monotonic()
    await run(*tasks)
    assert calls == Counter(jobs_of(20))
    assert time.monotonic() - started < stages * 0.25


async def test_three_stages_and_a_fan_in_pass_their_values_on(tmp_path: Path) -> None:
    numbers = pdt.InProcessMetadataRepository({f"n{number}": number for number in range(30)})
    doubled, groups, sums = (pdt.InProcessMetadataRepository() for _ in range(3))
    records = [pdt.SqliteMetadataRepository(tmp_path / "records.sqlite", name) for name in ("one", "two", "three")]
    reports = pdt.FileRepository(tmp_path / "reports", ".txt")

    @pdt.InProcessSyncTask("double", records[0])
    async def double(job: str, numbers: Any, doubled: Any, groups: Any) -> None:
        value = 2 * await numbers.info(job)
        await doubled.dump(job, value)
        await groups.dump(job, f"rest{value % 3}")

    double.link("numbers", numbers, is_input=True)
    double.link("doubled", doubled, is_output=True)
    double.link("groups", groups)

    @pdt.InProcessSyncTask("add", records[1])
    async def add(job: str, members: Any, sums: Any) -> None:
        await sums.dump(job, sum((await members.info(job)).values()))

    by = pdt.InProcessMetadataRepository({f"n{number}": f"rest{2 * number % 3}" for number in range(30)})
    add.link("members", pdt.GroupRepository(doubled, by), is_input=True)
    add.link("sums", sums, is_output=True)

    @pdt.InProcessSyncTask("tell", records[2])
    def tell(job: str, sums: Any, reports: Any) -> None:
        with reports.open(job, "w") as report:
            report.write(f"{job}: {sums.info(job)}")

    tell.plug(add)
    tell.link("reports", reports, is_output=True)
    report = await run(double, add, tell, store=tmp_path / "store")
    assert report.succeeded == Counter(double=30, add=3, tell=3)
    assert sums.data == {f"rest{rest}": sum(2 * n for n in range(30) if 2 * n % 3 == rest) for rest in range(3)}
    assert (tmp_path / "reports" / "rest0.txt").read_text() == f"rest0: {sums.data['rest0']}"
    assert report.exit_code == 0


async def test_a_group_starts_only_when_its_last_member_is_there() -> None:
    by = pdt.InProcessMetadataRepository(dict.fromkeys(jobs_of(200), "all"))
    finished: list[str] = []

    async def body(job: str) -> None:
        await asyncio.sleep(0.001)
        finished.append(job)

    members, done, _ = counting_task("members", memory(*jobs_of(200)), body)
    seen: list[int] = []

    async def gather(job: str) -> None:
        seen.append(len(finished))

    group, _, _ = counting_task("group", pdt.GroupRepository(done, by), gather)
    await run(members, group)
    assert seen == [200]


async def test_ended_executor_jobs_make_room_at_once() -> None:
    """A thousand short jobs in a pool that takes 256 at a time need no second each time it is empty."""
    with ThreadPoolExecutor(2) as threads:
        done = memory()
        task = pdt.ExecutorTask("threads", threads, done, func=lambda job: None)
        task.link("input", memory(*jobs_of(1500)), is_input=True)
        started = time.monotonic()
        await run(task)
    assert len(done.data) == 1500
    assert time.monotonic() - started < 3


async def test_a_chain_does_not_wait_for_another_task_that_has_no_room() -> None:
    """One task is busy with long jobs and has many more waiting; short jobs of others flow all the same."""
    release = asyncio.Event()
    busy, _, _ = counting_task("busy", memory(*jobs_of(500)), lambda job: release.wait())
    first, _, _ = counting_task("first", memory(*jobs_of(5)))
    second, _, _ = counting_task("second", memory(*jobs_of(5)))
    second.plug(first)

    async def end(job: str) -> None:
        release.set()

    third, _, calls = counting_task("third", memory("j00000"), end)
    third.plug(second)
    started = time.monotonic()
    await run(busy, first, second, third)
    assert calls == Counter(["j00000"])
    assert time.monotonic() - started < 1


async def test_a_chain_does_not_wait_for_another_task_that_a_quota_denies() -> None:
    release = asyncio.Event()
    quota = pdt.ResourceManager(pdt.Resources.parse(1, 0))
    busy, _, _ = counting_task(
        "busy",
        memory(*jobs_of(3)),
        lambda job: release.wait(),
        resource_manager=quota,
        job_resources=amount(1, 0),
    )
    first, _, _ = counting_task("first", memory(*jobs_of(5)))
    second, _, _ = counting_task("second", memory(*jobs_of(5)))
    second.plug(first)

    async def end(job: str) -> None:
        release.set()

    third, _, calls = counting_task("third", memory("j00000"), end)
    third.plug(second)
    started = time.monotonic()
    await run(busy, first, second, third)
    assert calls == Counter(["j00000"])
    assert time.monotonic() - started < 1


# Launches that fail.


@pytest.fixture
def short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch_module, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(launch_module, "LONGEST_DELAY", 0.1)
    monkeypatch.setattr(look_module, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(look_module, "LONGEST_DELAY", 0.1)


def fails_times(times: int) -> Callable[[str, int], None]:
    def behave(job: str, launch: int) -> None:
        if job == "bad" and launch <= times:
            raise ConnectionError("no route to host")

    return behave


@pytest.mark.usefixtures("short_delays")
async def test_a_launch_that_fails_is_tried_again_and_then_given_up() -> None:
    task = Launches("task", memory("bad", *jobs_of(20)), fails_times(1000))
    report = await run(task)
    assert task.launches["bad"] == launch_module.ATTEMPTS
    assert {task.launches[job] for job in jobs_of(20)} == {1}
    assert list(report.problems) == ["task bad: could not be launched: ConnectionError: no route to host"]
    assert report.exit_code == 1
    assert "bad" not in task.done.data


@pytest.mark.usefixtures("short_delays")
async def test_a_launch_that_fails_a_few_times_succeeds_in_the_end() -> None:
    task = Launches("task", memory("bad"), fails_times(launch_module.ATTEMPTS - 1))
    report = await run(task)
    assert set(task.done.data) == {"bad"}
    assert report.exit_code == 0
    pauses = [later - earlier for earlier, later in zip(task.at, task.at[1:], strict=False)]
    assert all(pause >= 0.005 * 2**number for number, pause in enumerate(pauses))


@pytest.mark.usefixtures("short_delays")
async def test_a_launch_that_is_cancelled_from_inside_is_a_failed_launch() -> None:
    async def cancelled() -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    def behave(job: str, launch: int) -> Any:
        return cancelled() if job == "bad" else None

    task = Launches("task", memory("bad", *jobs_of(5)), behave)
    report = await run(task, deadline=10)
    assert set(task.done.data) == set(jobs_of(5))
    assert len(report.problems) == 1
    assert "CancelledError" in next(iter(report.problems))


@pytest.mark.usefixtures("short_delays")
@pytest.mark.parametrize("error", [SystemExit(3), BaseExceptionGroup("several", [SystemExit(1)])])
async def test_a_launch_that_raises_what_is_no_exception_is_a_failed_launch(error: BaseException) -> None:
    def behave(job: str, launch: int) -> None:
        if job == "bad":
            raise error

    task = Launches("task", memory("bad", *jobs_of(5)), behave)
    report = await run(task, deadline=10)
    assert set(task.done.data) == set(jobs_of(5))
    assert len(report.problems) == 1


@pytest.mark.usefixtures("short_delays")
async def test_a_failed_launch_whose_job_is_withdrawn_does_not_keep_the_run_going() -> None:
    inputs = memory("bad")

    def behave(job: str, launch: int) -> None:
        del inputs.data["bad"]
        raise ConnectionError("gone")

    task = Launches("task", inputs, behave)
    report = await run(task, deadline=10)
    assert task.launches == Counter(bad=1)
    assert report.exit_code == 0


async def test_a_failed_launch_does_not_hold_up_others_nor_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a job waits for its next try and others run, the loop sleeps."""
    monkeypatch.setattr(launch_module, "FIRST_DELAY", 0.05)
    rounds = 0
    bad = Launches("bad", memory("bad"), fails_times(2))
    slow, _, _ = counting_task("slow", memory(*jobs_of(40)), lambda job: asyncio.sleep(0.2))
    original = launch_module.Launcher.dispatch

    async def dispatch(self: launch_module.Launcher) -> bool:
        nonlocal rounds
        rounds += 1
        return await original(self)

    monkeypatch.setattr(launch_module.Launcher, "dispatch", dispatch)
    report = await run(bad, slow)
    assert set(bad.done.data) == {"bad"}
    assert report.exit_code == 0
    assert rounds < 200


async def test_a_launch_that_changes_nothing_is_repeated_until_it_does() -> None:
    """As a task of the reference's does where its quota is full: it returns, and is asked again."""
    launches: Counter[str] = Counter()

    class Polite(Launches):
        async def launch(self, job: str) -> None:
            launches[job] += 1
            if launches[job] >= 4:
                self.done.data[job] = {}

    task = Polite("task", memory("a", "b"), lambda job, launch: None)
    report = await run(task)
    assert launches == Counter(a=4, b=4)
    assert report.exit_code == 0


async def test_many_jobs_of_a_strangers_task_cost_no_quadratic_time() -> None:
    task = Launches("task", memory(*jobs_of(6000)), lambda job, launch: None)
    started = time.monotonic()
    await run(task)
    assert len(task.done.data) == 6000
    assert time.monotonic() - started < 5


# Listings and updates that fail.


class Broken(pdt.InProcessMetadataRepository):
    """Records in memory whose listing fails this many times."""

    def __init__(self, times: int, *jobs: str) -> None:
        super().__init__({job: {} for job in jobs})
        self.left = times

    async def keys(self) -> Set[str]:
        if self.left:
            self.left -= 1
            raise PermissionError("no entry")
        return set(self.data)


@pytest.mark.usefixtures("short_delays")
@pytest.mark.parametrize("role", ["input", "done"])
async def test_a_listing_that_fails_stops_only_what_depends_on_it(role: str) -> None:
    broken = Broken(10**9, "a", "b")
    options: dict[str, Any] = {"done": broken} if role == "done" else {}
    bad, _, bad_calls = counting_task("bad", memory("a", "c") if role == "done" else broken, **options)
    good, _, good_calls = counting_task("good", memory(*jobs_of(50)))
    report = await run(bad, good)
    assert not bad_calls
    assert good_calls == Counter(jobs_of(50))
    assert report.exit_code == 5
    [problem] = report.problems
    assert "Broken" in problem
    assert "PermissionError: no entry" in problem


@pytest.mark.usefixtures("short_delays")
async def test_a_listing_that_recovers_lets_its_task_go_on() -> None:
    task, _, calls = counting_task("task", Broken(3, *jobs_of(10)))
    report = await run(task)
    assert calls == Counter(jobs_of(10))
    assert report.exit_code == 0


@pytest.mark.usefixtures("short_delays")
@pytest.mark.parametrize("answer", [None, 5, ["a", "b"]])
async def test_a_listing_that_returns_garbage_is_a_failed_listing(answer: object) -> None:
    class Garbage(pdt.InProcessMetadataRepository):
        async def keys(self) -> Any:
            return answer

    bad, _, calls = counting_task("bad", Garbage())
    good, _, good_calls = counting_task("good", memory("a"))
    report = await run(bad, good)
    assert not calls
    assert good_calls == Counter("a")
    assert report.exit_code == 5


@pytest.mark.usefixtures("short_delays")
async def test_a_translator_that_returns_garbage_is_a_failed_listing() -> None:
    class Garbage(pdt.InProcessMetadataRepository):
        async def items(self) -> Any:
            return ["a"]

    bad, _, _ = counting_task("bad", pdt.RelatedItemRepository(memory("x"), Garbage()))
    good, _, good_calls = counting_task("good", memory("a"))
    report = await run(bad, good)
    assert good_calls == Counter("a")
    assert report.exit_code == 5


@pytest.mark.usefixtures("short_delays")
async def test_a_combination_that_raises_is_a_failed_listing() -> None:
    class Odd(pdt.AggregateOrRepository):
        def combine(self, answers: Any) -> Set[str]:
            raise ZeroDivisionError("odd")

    bad, _, _ = counting_task("bad", Odd(a=memory("a")))
    good, _, good_calls = counting_task("good", memory("a"))
    report = await run(bad, good)
    assert good_calls == Counter("a")
    assert report.exit_code == 5
    assert any("ZeroDivisionError" in problem for problem in report.problems)


@pytest.mark.usefixtures("short_delays")
async def test_a_filter_that_raises_is_a_failed_listing() -> None:
    async def filt(job: str) -> bool:
        raise KeyError(job)

    bad, _, _ = counting_task("bad", memory("a").map(lambda info: info, filt))
    good, _, good_calls = counting_task("good", memory("a"))
    report = await run(bad, good)
    assert good_calls == Counter("a")
    assert report.exit_code == 5


@pytest.mark.usefixtures("short_delays")
async def test_an_update_that_raises_is_tried_again_and_reported_in_the_end() -> None:
    def fail() -> bool:
        raise OSError("executor is away")

    bad = Updates("bad", fail)
    good, _, calls = counting_task("good", memory(*jobs_of(10)))
    report = await run(bad, good)
    assert calls == Counter(jobs_of(10))
    assert bad.updates >= look_module.ATTEMPTS
    assert report.exit_code == 5
    assert list(report.problems) == ["update of task 'bad' failed: OSError: executor is away"]


@pytest.mark.usefixtures("short_delays")
async def test_an_update_that_recovers_is_no_problem() -> None:
    outcomes = iter([OSError("away"), OSError("away")])

    def fail_twice() -> bool:
        for outcome in outcomes:
            raise outcome
        return False

    report = await run(Updates("shaky", fail_twice))
    assert report.exit_code == 0


@pytest.mark.usefixtures("short_delays")
@pytest.mark.parametrize("error", [SystemExit(2), asyncio.CancelledError()])
async def test_an_update_that_raises_what_is_no_exception_stops_nobody(error: BaseException) -> None:
    def fail() -> bool:
        raise error

    good, _, calls = counting_task("good", memory(*jobs_of(10)))
    report = await run(Updates("bad", fail), good)
    assert calls == Counter(jobs_of(10))
    assert report.exit_code == 5


async def test_an_update_that_returns_garbage_is_taken_for_true_or_false() -> None:
    answers: list[Any] = ["busy", 1, None]
    task = Updates("odd", lambda: answers.pop(0) if answers else None)
    report = await run(task)
    assert not answers
    assert report.exit_code == 0


@pytest.mark.usefixtures("short_delays")
async def test_an_update_that_is_no_coroutine_stops_nobody() -> None:
    class Plain(Updates):
        def update(self) -> bool:  # type: ignore[override]
            self.updates += 1
            return False

    good, _, calls = counting_task("good", memory(*jobs_of(10)))
    report = await run(Plain("plain", lambda: False), good)
    assert calls == Counter(jobs_of(10))
    assert report.exit_code == 5


@pytest.mark.parametrize("what", ["update", "listing"])
async def test_what_never_returns_holds_up_nobody_and_is_reported(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_module, "UPDATE_PATIENCE", 0.3)
    monkeypatch.setattr("pdt.engine.snapshot.LISTING_PATIENCE", 0.3)
    monkeypatch.setattr(look_module, "GIVE_UP", 1.5)

    class Silent(pdt.InProcessMetadataRepository):
        inline = False

        async def keys(self) -> Set[str]:
            await asyncio.Event().wait()
            raise AssertionError

    first, _, _ = counting_task("stage0", memory("a"))
    chain: list[pdt.Task] = [first]
    for stage in range(1, 6):
        task, _, _ = counting_task(f"stage{stage}", memory("a"))
        task.plug(chain[-1])
        chain.append(task)
    ended_at = 0.0

    async def note(job: str) -> None:
        nonlocal ended_at
        ended_at = time.monotonic()

    last, _, calls = counting_task("last", memory("a"), note)
    last.plug(chain[-1])
    silent = (
        Updates("silent", lambda: asyncio.Event().wait()) if what == "update" else counting_task("silent", Silent())[0]
    )
    started = time.monotonic()
    report = await run(silent, *chain, last, deadline=20)
    assert calls == Counter("a")
    assert ended_at - started < 1.2
    assert report.exit_code == 5
    [problem] = report.problems
    assert ("'silent'" if what == "update" else "Silent") in problem


@pytest.mark.parametrize("what", ["update", "listing"])
async def test_what_is_slow_but_returns_is_waited_for(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_module, "UPDATE_PATIENCE", 0.05)
    monkeypatch.setattr("pdt.engine.snapshot.LISTING_PATIENCE", 0.05)
    inputs = memory()

    async def slow_update() -> bool:
        await asyncio.sleep(0.4)
        inputs.data["late"] = {}
        return False

    class Slow(pdt.InProcessMetadataRepository):
        inline = False

        async def keys(self) -> Set[str]:
            await asyncio.sleep(0.4)
            return {"late"}

    task, _, calls = counting_task("task", inputs if what == "update" else Slow())
    others = [Updates("slow", slow_update)] if what == "update" else []
    report = await run(task, *others)
    assert calls == Counter(["late"])
    assert report.exit_code == 0


# How a run ends.


async def test_a_job_that_never_fits_is_reported_and_the_others_run() -> None:
    quota = pdt.ResourceManager(pdt.Resources.parse("1", "1Gi"))
    big, _, big_calls = counting_task(
        "big", memory("a", "b"), resource_manager=quota, job_resources=pdt.Resources.parse("2", "1Mi")
    )
    small, _, calls = counting_task(
        "small",
        memory(*jobs_of(20)),
        resource_manager=quota,
        job_resources=pdt.Resources.parse("500m", "1Mi"),
    )
    report = await run(big, small, patience=0.0)
    assert not big_calls
    assert calls == Counter(jobs_of(20))
    assert report.exit_code == 1
    assert list(report.problems) == [
        "2 jobs of task 'big' can never start: one job wants 2 of CPU, and the quota is 1 in all"
    ]


async def test_it_goes_on_for_ever_until_it_is_stopped() -> None:
    inputs = memory("a")
    task, _, calls = counting_task("task", inputs)
    async with pipeline_of(task) as pipeline, asyncio.timeout(20), asyncio.TaskGroup() as group:
        running = group.create_task(pipeline.run(forever=True))
        await until(lambda: calls["a"])
        inputs.data["b"] = {}
        await until(lambda: calls["b"])
        assert not running.done()
        pipeline.stop()
        report = await running
    assert calls == Counter("ab")
    assert report.interrupted
    assert report.exit_code == 130


async def test_a_stop_lets_what_runs_end_and_starts_nothing_more() -> None:
    pipeline: pdt.Pipeline

    async def body(job: str) -> None:
        pipeline.stop()
        await asyncio.sleep(0.05)

    task, done, calls = counting_task("task", memory(*jobs_of(500)), body)
    pipeline = pipeline_of(task)
    async with pipeline:
        report = await pipeline.run()
        assert 1 <= len(calls) <= task.concurrency
        assert set(done.data) == set(calls)
        assert report.exit_code == 130
        pipeline.tasks["task"].func = None  # type: ignore[attr-defined]


async def test_a_stopped_pipeline_can_be_run_again_while_it_is_open() -> None:
    pipeline: pdt.Pipeline

    async def body(job: str) -> None:
        if len(calls) == 1:
            pipeline.stop()

    task, done, calls = counting_task("task", memory(*jobs_of(100)), body)
    pipeline = pipeline_of(task)
    async with pipeline:
        assert (await pipeline.run()).interrupted
        assert len(done.data) < 100
        report = await pipeline.run()
    assert set(calls.values()) == {1}
    assert len(done.data) == 100
    assert not report.interrupted
    assert report.exit_code == 0


async def test_launch_once_starts_nothing_that_became_ready_later() -> None:
    first, first_done, _ = counting_task("first", memory(*jobs_of(5)))
    second, _, calls = counting_task("second", memory(*jobs_of(5)))
    second.plug(first)
    async with pipeline_of(first, second) as pipeline:
        report = await pipeline.run(launch_once=True)
        assert report.succeeded == Counter(first=5)
        assert set(first_done.data) == set(jobs_of(5))
        assert not calls


async def test_launch_once_waits_for_what_it_started() -> None:
    live, done = memory(), memory()
    task = Stranger("task", live, done, seconds=0.3)
    task.link("input", memory(*jobs_of(10)), is_input=True)
    async with pipeline_of(task) as pipeline:
        await pipeline.run(launch_once=True)
        assert set(done.data) == set(jobs_of(10))


async def test_fail_fast_starts_nothing_after_the_first_failure() -> None:
    async def body(job: str) -> None:
        await asyncio.sleep(0.01)
        raise ValueError(job)

    task, done, calls = counting_task("task", memory(*jobs_of(500)), body)
    async with pipeline_of(task) as pipeline:
        report = await pipeline.run(fail_fast=True)
    assert 1 <= len(calls) < 250
    assert set(done.data) == set(calls)
    assert report.failed["task"] == len(calls)
    assert report.exit_code == 1


async def test_without_fail_fast_every_job_gets_its_turn() -> None:
    async def body(job: str) -> None:
        raise ValueError(job)

    task, done, _ = counting_task("task", memory(*jobs_of(50)), body)
    report = await run(task)
    assert len(done.data) == 50
    assert report.failed == Counter(task=50)
    assert report.exit_code == 1


async def test_a_run_that_is_cancelled_cancels_bodies_and_records_those_that_ended() -> None:
    cancelled: list[str] = []

    async def body(job: str) -> None:
        if job in ("j00000", "j00001"):
            return
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(job)
            raise

    task, done, _ = counting_task("task", memory(*jobs_of(6)), body)
    async with pipeline_of(task) as pipeline:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await pipeline.run()
    assert sorted(cancelled) == jobs_of(6)[2:]
    assert sorted(done.data) == jobs_of(2)


async def test_a_second_driver_of_one_open_pipeline_is_refused() -> None:
    release = asyncio.Event()
    task, done, calls = counting_task("task", memory("a"), lambda job: release.wait())
    async with pipeline_of(task) as pipeline, asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(pipeline.run())
        await until(lambda: calls)
        with pytest.raises(pdt.errors.ConfigurationError, match=r"'tested' is being run already"):
            await pipeline.update()
        release.set()
        await running
    assert set(done.data) == {"a"}


# Keys that are no job ids.


async def test_a_key_that_is_no_job_id_is_skipped_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    inputs = memory("good", "../x", "")
    task, _, calls = counting_task("task", inputs)
    after, _, _ = counting_task("after", memory("good"), lambda job: asyncio.sleep(0.05))
    after.plug(task)
    with caplog.at_level(logging.WARNING, "pdt.repository"):
        await run(task, after)
    assert calls == Counter(["good"])
    warnings = [record.getMessage() for record in caplog.records if "valid job" in record.getMessage()]
    assert len(warnings) == 2
    assert sum("'../x'" in warning for warning in warnings) == 1


# Growth.


@pytest.mark.timeout(60)
async def test_ten_thousand_jobs_leave_nothing_behind(tmp_path: Path) -> None:
    import gc
    import os

    inputs = memory(*jobs_of(10_000))
    records = pdt.SqliteMetadataRepository(tmp_path / "records.sqlite", "task")
    task, _, _ = counting_task("task", inputs, done=records)
    warm, _, _ = counting_task("task", memory("a"), done=pdt.SqliteMetadataRepository(tmp_path / "w.sqlite", "task"))
    await run(warm, store=tmp_path / "store")
    gc.collect()
    before = (len(os.listdir("/proc/self/fd")), threading.active_count(), len(asyncio.all_tasks()))
    async with pipeline_of(task, store=tmp_path / "store") as pipeline:
        report = await pipeline.run()
        assert report.succeeded == Counter(task=10_000)
        lane = pipeline.runner.launcher.lanes["task"]
        assert len(asyncio.all_tasks()) == before[2]
        assert not lane.in_flight
        assert not pipeline.runner.launcher.idle.things()
    gc.collect()
    after = (len(os.listdir("/proc/self/fd")), threading.active_count(), len(asyncio.all_tasks()))
    assert after == before


async def test_why_says_what_is_under_way_and_what_is_over() -> None:
    release = asyncio.Event()
    task, _, calls = counting_task("task", memory("a", "b"), lambda job: release.wait())
    async with pipeline_of(task) as pipeline, asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(pipeline.run())
        await until(lambda: calls)
        assert (await pipeline.explain(task, "a")).kind is VerdictKind.RUNNING
        release.set()
    async with pipeline_of(task) as pipeline:
        await pipeline.run()
        assert (await pipeline.explain(task, "a")).kind is VerdictKind.INHIBITED


async def test_polling_finds_what_no_store_tells_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "POLL_SECONDS", (0.01, 0.05))
    inputs = Delayed({"a": {}})
    task, _, calls = counting_task("task", inputs)
    live = True

    def outside() -> bool:
        if task_updates.updates == 5:
            inputs.data["b"] = {}
        return task_updates.updates < 10

    task_updates = Updates("outside", outside)
    assert live
    await run(task, task_updates)
    assert calls == Counter("ab")


def test_a_runner_that_is_woken_after_its_loop_is_gone_says_nothing() -> None:
    task = pdt.InProcessSyncTask("task", memory(), func=lambda job: None)
    task.link("input", memory(), is_input=True)

    async def keep() -> runner_module.Runner:
        async with pipeline_of(task) as pipeline:
            await pipeline.run()
            return pipeline.runner

    runner = asyncio.run(keep())
    runner.wake(task)


def test_an_exit_code_says_what_went_wrong() -> None:
    from pdt.engine.report import Report

    def code(**fields: Any) -> int:
        report = Report()
        for name, value in fields.items():
            setattr(report, name, value)
        return report.exit_code

    cases: list[tuple[Mapping[str, Any], int]] = [
        ({}, 0),
        ({"launched": Counter(a=1), "succeeded": Counter(a=1)}, 0),
        ({"failed": Counter(a=1)}, 1),
        ({"problems": {"p": None}}, 1),
        ({"backend_failed": True, "failed": Counter(a=1)}, 5),
        ({"interrupted": True, "backend_failed": True}, 130),
    ]
    for fields, expected in cases:
        assert code(**fields) == expected


# Stores that hang.


@pytest.mark.usefixtures("short_delays")
@pytest.mark.parametrize("hangs", ["present", "dump_all"])
async def test_a_store_that_never_answers_holds_up_its_own_task_only(
    hangs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch_module, "CHECK_SECONDS", 0.15)
    monkeypatch.setattr("pdt.engine.commit.STORE_SECONDS", 0.1)
    monkeypatch.setattr("pdt.engine.commit.FIRST_DELAY", 0.01)

    class Hanging(pdt.InProcessMetadataRepository):
        inline = False

        async def hang(self, *arguments: Any) -> Any:
            await asyncio.Event().wait()

    monkeypatch.setattr(Hanging, hangs, Hanging.hang, raising=False)
    if hangs == "dump_all":
        monkeypatch.setattr(Hanging, "dump", Hanging.hang, raising=False)
    ended: list[float] = []

    async def note(job: str) -> None:
        ended.append(time.monotonic())

    bad, _, bad_calls = counting_task("bad", memory(*jobs_of(5)), done=Hanging())
    chain: list[pdt.Task] = []
    for stage in range(5):
        task, _, _ = counting_task(f"stage{stage}", memory(*jobs_of(5)), note)
        if chain:
            task.plug(chain[-1])
        chain.append(task)
    started = time.monotonic()
    report = await run(bad, *chain)
    assert len(ended) == 25
    assert max(ended) - started < 0.7
    assert len(bad_calls) == (5 if hangs == "dump_all" else 0)
    assert report.exit_code == (5 if hangs == "dump_all" else 1)
    assert any("within 0.1" in problem for problem in report.problems)


async def test_a_slow_check_is_waited_for_by_a_single_round_and_dropped_by_a_stop() -> None:
    class Slow(pdt.InProcessMetadataRepository):
        inline = False

        async def present(self, jobs: Collection[str]) -> set[str]:
            asked.append(len(jobs))
            await asyncio.sleep(0.1)
            return await super().present(jobs)

    asked: list[int] = []
    task, done, calls = counting_task("task", memory(*jobs_of(100)), done=Slow())
    async with pipeline_of(task) as pipeline, asyncio.timeout(10):
        assert await pipeline.update()
        assert len(done.data) == 100
        task.links["input"].repo.data.update({job: {} for job in jobs_of(100, "k")})  # type: ignore[attr-defined]
        asked.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(pipeline.run())
            await until(lambda: asked)
            pipeline.stop()
        assert len(calls) == 100
        report = await pipeline.run()
        assert len(calls) == 200
        assert report.exit_code == 0


async def test_a_run_is_stopped_from_another_thread() -> None:
    pipeline: pdt.Pipeline
    calls: list[str] = []

    def body(job: str) -> None:
        calls.append(job)
        pipeline.stop()

    done = memory()
    task = pdt.InProcessSyncTask("task", done, func=body)
    task.link("input", memory(*jobs_of(500)), is_input=True)
    pipeline = pipeline_of(task)
    async with pipeline, asyncio.timeout(10):
        report = await pipeline.run(forever=True)
    assert report.interrupted
    assert set(done.data) == set(calls)
    assert len(calls) < 500


async def test_a_stop_takes_back_what_waits_in_an_executor() -> None:
    release = threading.Event()
    started = threading.Event()
    calls: list[str] = []

    def body(job: str) -> None:
        calls.append(job)
        started.set()
        release.wait(10)

    done = memory()
    with ThreadPoolExecutor(2) as threads:
        task = pdt.ExecutorTask("task", threads, done, func=body)
        task.link("input", memory(*jobs_of(200)), is_input=True)
        async with pipeline_of(task) as pipeline, asyncio.timeout(10), asyncio.TaskGroup() as group:
            running = group.create_task(pipeline.run())
            await asyncio.to_thread(started.wait, 10)
            pipeline.stop()
            release.set()
            report = await running
    assert report.interrupted
    assert set(done.data) == set(calls)
    assert len(calls) <= 4
