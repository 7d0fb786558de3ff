"""The failure policy of every kind of task: records, reasons, retries, quarantine, and what survives the controller."""

from __future__ import annotations

import asyncio
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import pdt
from pdt import localfs
from pdt.attempts.policy import Retry
from pdt.errors import ConfigurationError
from tests.core.engine.samples import memory, until
from tests.core.task.scripts import Place, quota

#: The keys of every record, and those that scripts add.
KEYS = {"success", "reason", "attempt", "start_time", "end_time"}
SCRIPT_KEYS = KEYS | {"return_code", "signal"}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def fails_until(place: Place, count: int, end: str = "exit 75") -> str:
    """Return a script whose first `count` attempts of each job fail."""
    tries = f"{place.path}/tries-$PDT_JOB"
    return f"echo x >>{tries}; n=$(wc -l <{tries}); echo attempt $n; test $n -gt {count} || {end}"


def check_times(record: dict[str, Any]) -> None:
    start, end = record["start_time"], record["end_time"]
    assert start.utcoffset() == end.utcoffset() == timedelta(0)
    assert datetime.now(UTC) - timedelta(minutes=2) < start <= end <= datetime.now(UTC)


async def record_of(place: Place, task: pdt.ProcessTask, **options: Any) -> dict[str, Any]:
    """Run a task, and return the record of its job."""
    await place.run(task, **options)
    record: dict[str, Any] = dict(await place.done.info("a"))
    assert record.keys() >= SCRIPT_KEYS
    check_times(record)
    assert record["success"] == (record["reason"] == "success")
    return record


# Reasons of scripts.


async def test_success(place: Place) -> None:
    record = await record_of(place, place.task("echo noise >&2; sleep 0.1", "a"))
    assert record.keys() == SCRIPT_KEYS
    assert (record["reason"], record["return_code"], record["signal"], record["attempt"]) == ("success", 0, None, 1)
    assert record["end_time"] - record["start_time"] >= timedelta(seconds=0.1)


@pytest.mark.parametrize("shebang", ["", "#!/bin/bash\n"])
@pytest.mark.parametrize("code", [1, 75, 128, 255])
async def test_exit(code: int, shebang: str, place: Place) -> None:
    record = await record_of(place, place.task(f"{shebang}echo one; echo the cause >&2; exit {code}", "a"))
    assert record.keys() == SCRIPT_KEYS | {"error"}
    assert (record["reason"], record["return_code"], record["signal"]) == ("exit", code, None)
    assert record["error"] == "the cause"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
@pytest.mark.parametrize("shebang", ["", "#!/bin/bash\n"])
async def test_signal(number: int, shebang: str, place: Place) -> None:
    script = f"{shebang}echo the cause; sh -c 'kill -{number} $PPID'; sleep 5"
    record = await record_of(place, place.task(script, "a"))
    assert (record["reason"], record["signal"], record["return_code"]) == ("signal", number, 128 + number)
    assert record["error"] == "the cause"


async def test_a_script_that_outlives_its_wrapper_is_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it returned nobody knows then; but it is not run a second time while it runs."""
    monkeypatch.setattr("pdt.attempts.policy.LOST_ATTEMPTS", 0)
    out = place.files("out")
    mark = place.path / "mark"
    task = place.task(f"echo x >{{{{out}}}}; kill -9 $$; sleep 1; echo end >{mark}", "a")
    task.link("out", out, is_output=True)
    record = await record_of(place, task)
    assert (record["reason"], record["return_code"]) == ("lost", None)
    assert "signal 9" in record["error"]
    assert mark.read_text() == "end\n"
    assert not await out.contains("a")


@pytest.mark.parametrize("obedient", [True, False])
async def test_timeout(obedient: bool, place: Place) -> None:
    trap = "" if obedient else "trap '' TERM; "
    script = f"{trap}echo begun; sleep 30 & wait; sleep 30"
    start = time.monotonic()
    record = await record_of(place, place.task(script, "a", timeout=0.3, grace=0.3))
    assert (record["reason"], record["signal"]) == ("timeout", 15 if obedient else 9)
    assert record["error"] == "begun"
    assert 0.3 <= time.monotonic() - start < 10


async def test_the_cause_of_a_simple_commands_timeout_is_its_own_word_and_not_the_shells(place: Place) -> None:
    script = "sh -c 'echo the cause >&2; sleep 30'"
    record = await record_of(place, place.task(script, "a", timeout=0.5, grace=0.3))
    assert (record["reason"], record["error"]) == ("timeout", "the cause")


async def test_what_goes_on_after_sigkill_is_said_once_and_in_the_record(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pdt.proc_manager.local_runner.STUCK_SECONDS", 0.0)  # nothing here withstands it for longer
    script = "trap '' TERM; while :; do sleep 0.2; done"
    record = await record_of(place, place.task(script, "a", timeout=0.2, grace=0.2))
    assert record["reason"] == "timeout"
    assert re.fullmatch(r"it went on after SIGKILL: process \d+ \(\w+\) is .+", record["error"])
    (said,) = [entry.getMessage() for entry in caplog.records if "after SIGKILL" in entry.getMessage()]
    assert record["error"].removeprefix("it went on after SIGKILL: ") in said


async def test_what_ends_by_sigkill_is_not_remarked_upon(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    record = await record_of(place, place.task("trap '' TERM; echo begun; sleep 30", "a", timeout=0.2, grace=0.2))
    assert record["error"] == "begun"
    assert "SIGKILL" not in caplog.text


async def test_the_grace_is_for_cleaning_up(place: Place) -> None:
    mark = place.path / "mark"
    script = f"trap 'sleep 0.3; echo clean >{mark}; exit 7' TERM; sleep 30 & wait"
    record = await record_of(place, place.task(script, "a", timeout=0.2, grace=20))
    assert (record["reason"], record["return_code"], record["signal"]) == ("timeout", 7, None)
    assert mark.read_text() == "clean\n"


async def test_what_ends_in_time_is_not_ended(place: Place) -> None:
    record = await record_of(place, place.task("sleep 0.1", "a", timeout=timedelta(seconds=20)))
    assert record["reason"] == "success"


@pytest.mark.parametrize("obedient", [True, False])
async def test_cancelled(obedient: bool, place: Place) -> None:
    begun = place.path / "begun"
    trap = "" if obedient else "trap '' TERM; "
    task = place.task(f"{trap}: >{begun}; sleep 30 & wait; sleep 30", "a", grace=0.3, retry=3)
    async with place.pipeline(task) as pipeline, asyncio.timeout(20):
        running = asyncio.get_running_loop().create_task(pipeline.run())
        await until(begun.exists)
        await task.cancel("not running")
        await task.cancel("a")
        await task.cancel("a")
        report = await running
        await task.cancel("a")
    record = await place.done.info("a")
    assert (record["reason"], record["attempt"]) == ("cancelled", 1)  # nobody wants it again
    assert report.failed == {"task": 1}


async def interrupt(place: Place, template: str, **options: Any) -> str:
    """Run a task until its script has written its token, and leave it running; return the token."""
    token = place.path / "token"
    task = place.task(f"echo $PDT_ATTEMPT >{token}.part; mv {token}.part {token}; {template}", "a", **options)
    await place.interrupted(task, token)
    found = token.read_text().strip()
    token.unlink()
    return found


async def test_an_attempt_that_vanished_while_nobody_looked_is_lost(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pdt.attempts.policy.LOST_ATTEMPTS", 0)
    token = await interrupt(place, "sleep 30")
    assert await place.pids.keys() == {"a"}
    await place.kill_everything(token)
    record = await record_of(place, place.task("true", "a"))
    assert (record["reason"], record["return_code"], record["signal"]) == ("lost", None, None)


async def test_a_lost_attempt_is_made_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdt.attempts.policy.LOST_DELAY", 0.05)
    token = await interrupt(place, "sleep 30")
    await place.kill_everything(token)
    record = await record_of(place, place.task("true", "a"))
    assert (record["reason"], record["attempt"]) == ("success", 2)


async def test_attempts_of_another_boot_are_lost(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdt.attempts.policy.LOST_ATTEMPTS", 0)
    token = await interrupt(place, "sleep 30")
    await place.kill_everything(token)
    monkeypatch.setattr(localfs, "boot_id", lambda: "another")
    record = await record_of(place, place.task("true", "a"))
    assert (record["reason"], record["error"]) == ("lost", "the machine was restarted")


@pytest.mark.parametrize(
    ("template", "options", "error"),
    [
        ("#!/nowhere/python3\n", {}, "the script's interpreter '/nowhere/python3' does not exist"),
        ("#!/usr/bin/env nowhere\n", {}, "the script's interpreter 'nowhere' is not installed"),
        ("#!/etc/passwd\n", {}, "the script's interpreter '/etc/passwd' cannot be executed"),
        ("true", {"environ": {"A": "nul\0"}}, "its environment or its arguments cannot be passed to a process"),
        ("true", {"environ": {"A=B": "1"}}, "its environment or its arguments cannot be passed to a process"),
        ("true", {"environ": {"A": "x" * 3_000_000}}, "its environment is larger than the system allows"),
        ("true", {"cwd": "/nowhere/at/all"}, "/nowhere/at/all"),
        ("true", {"cwd": "/etc/passwd"}, "/etc/passwd"),
        ("echo {{ env.NOTHING }}", {}, "NOTHING"),
        ("echo {{ input.key | required }}", {}, "required"),
        ("#!/usr/bin/python3\n{% if job %}print({{ job }}){% endif %}", {}, "say it with a filter"),
    ],
)
async def test_unlaunchable(template: str, options: dict[str, Any], error: str, place: Place) -> None:
    task = place.task(template, "a", retry=3, **options)
    record = await record_of(place, task)
    assert (record["reason"], record["return_code"], record["signal"]) == ("unlaunchable", None, None)
    assert record["attempt"] == 1  # another try is of no use
    assert error in record["error"]


async def test_a_job_that_cannot_be_started_costs_no_other_its_turn(place: Place) -> None:
    words = pdt.InProcessMetadataRepository({"a": {"word": "x"}, "b": {}, "c": {"word": "y"}})
    blobs = pdt.InProcessBlobRepository()
    task = place.task("echo {{words.word | required}}", stdout=blobs)
    task.link("words", words, is_input=True)
    report = await place.run(task)
    assert report.succeeded == {"task": 2}
    assert report.failed == {"task": 1}
    assert (await place.done.info("b"))["reason"] == "unlaunchable"
    assert blobs.data == {"a": b"x\n", "c": b"y\n"}


# Records of every kind of task.


class Kinds:
    """A job whose first attempts fail, as each kind of task.

    :param place: where.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.runs: list[str] = []
        self.threads = ThreadPoolExecutor(2)

    def make(self, kind: str, failures: int, *jobs: str, **options: Any) -> pdt.Task:
        """Return a task whose body fails so often for each job."""
        if kind == "script":
            body = f"echo $PDT_JOB >>{self.place.path}/runs; " + fails_until(self.place, failures)
            return self.place.task(body, *jobs, **options)

        def plain(job: str) -> None:
            self.runs.append(job)
            if self.runs.count(job) <= failures:
                raise ValueError("not yet")

        async def coroutine(job: str) -> None:
            plain(job)

        options = {"done": self.place.done, **options}
        task: pdt.Task
        if kind == "executor":
            task = pdt.ExecutorTask("task", self.threads, func=plain, **options)
        else:
            task = pdt.InProcessSyncTask("task", func=plain if kind == "plain" else coroutine, **options)
        task.link("input", memory(*jobs), is_input=True)
        return task

    def count(self, job: str) -> int:
        """Return how often a job ran."""
        log = self.place.path / "runs"
        return (log.read_text().split() if log.exists() else self.runs).count(job)


@pytest.fixture
def kinds(place: Place) -> Any:
    made = Kinds(place)
    yield made
    made.threads.shutdown()


KINDS = ["script", "coroutine", "plain", "executor"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_job_is_tried_until_it_succeeds(kind: str, kinds: Kinds, place: Place) -> None:
    task = kinds.make(kind, 2, "a", "b", retry=Retry(5, delay=0.02))
    report = await place.run(task)
    for job in "ab":
        record = await place.done.info(job)
        assert (record["success"], record["reason"], record["attempt"]) == (True, "success", 3)
        check_times(record)
        assert kinds.count(job) == 3
    assert report.succeeded == {"task": 2}
    assert report.retried == {"task": 4}
    assert not report.failed
    assert report.exit_code == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_job_that_never_succeeds_is_given_up(kind: str, kinds: Kinds, place: Place) -> None:
    task = kinds.make(kind, 100, "a", retry=Retry(3, delay=0.02))
    report = await place.run(task)
    record = await place.done.info("a")
    assert (record["success"], record["attempt"]) == (False, 3)
    assert record["reason"] == ("exit" if kind == "script" else "exception")
    assert kinds.count("a") == 3
    assert (report.failed, report.retried, report.exit_code) == ({"task": 1}, {"task": 2}, 1)


@pytest.mark.parametrize("kind", KINDS)
async def test_without_a_policy_a_failure_is_the_end(kind: str, kinds: Kinds, place: Place) -> None:
    report = await place.run(kinds.make(kind, 100, "a"))
    record = await place.done.info("a")
    assert (record["success"], record["attempt"], kinds.count("a")) == (False, 1, 1)
    assert report.exit_code == 1
    assert not report.retried


@pytest.mark.parametrize("kind", KINDS)
async def test_a_job_whose_record_is_deleted_begins_anew(kind: str, kinds: Kinds, place: Place) -> None:
    task = kinds.make(kind, 1, "a", retry=Retry(3, delay=0.01))
    await place.run(task)
    assert (await place.done.info("a"))["attempt"] == 2
    await place.done.delete("a")
    await place.run(task)
    assert (await place.done.info("a"))["attempt"] == 1
    assert kinds.count("a") == 3


@pytest.mark.parametrize("kind", KINDS)
async def test_attempts_are_counted_across_controllers(kind: str, kinds: Kinds, place: Place) -> None:
    """Each controller is stopped after one failure: the third attempt is the last all the same."""
    retry = Retry(3, delay=1, factor=1, jitter=0)
    for attempt in (1, 2):
        task = kinds.make(kind, 100, "a", retry=retry)
        async with place.pipeline(task) as pipeline, asyncio.timeout(20):
            running = asyncio.get_running_loop().create_task(pipeline.run())
            await until(lambda: pipeline.runner.report.retried)
            verdict = await pipeline.explain(task, "a")
            assert verdict.kind is pdt.VerdictKind.BACKING_OFF
            assert verdict.until is not None
            assert 0 < verdict.until <= 1
            assert ("exit" if kind == "script" else "not yet") in verdict.reason
            pipeline.stop()
            report = await running
        assert kinds.count("a") == attempt
        assert report.interrupted
        assert not await place.done.contains("a")
    report = await place.run(kinds.make(kind, 100, "a", retry=retry))
    record = await place.done.info("a")
    assert (record["success"], record["attempt"], kinds.count("a")) == (False, 3, 3)


@pytest.mark.parametrize("kind", KINDS)
async def test_failed_jobs_are_parked_where_nothing_depends_on_them(kind: str, kinds: Kinds, place: Place) -> None:
    task = kinds.make(kind, 2, "a", failed=place.failed, retry=Retry(2, delay=0.01))
    after = place.task("true", name="after", done=place.records("after"))
    after.plug(task)
    after.link("input", memory("a"), is_input=True)
    report = await place.run(task, after)
    assert (await place.failed.info("a"))["attempt"] == 2
    assert await place.done.keys() == set()
    assert report.launched == {"task": 2}
    assert (report.failed, report.exit_code) == ({"task": 1}, 1)
    report = await place.run(task, after)
    assert not report.launched
    await place.failed.delete("a")
    report = await place.run(task, after)
    assert report.succeeded == {"task": 1, "after": 1}
    assert (await place.done.info("a"))["attempt"] == (3 if kind == "script" else 1)  # there are logs of the others


@pytest.mark.parametrize("kind", KINDS)
async def test_a_failure_may_be_ok(kind: str, kinds: Kinds, place: Place) -> None:
    """It is done, whatever else is there to take failures, and so what depends on it goes on."""
    task = kinds.make(kind, 100, "a", failure_ok=True, failed=place.failed)
    after = place.task("true", name="after", done=place.records("after"))
    after.plug(task)
    after.link("input", memory("a"), is_input=True)
    report = await place.run(task, after)
    record = await place.done.info("a")
    assert (record["success"], record["attempt"]) == (False, 1)
    assert await place.failed.keys() == set()
    assert report.succeeded == {"task": 1, "after": 1}
    assert report.exit_code == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_failed_jobs_without_a_place_of_their_own_are_done(kind: str, kinds: Kinds, place: Place) -> None:
    """As the reference has it."""
    task = kinds.make(kind, 100, "a")
    after = place.task("true", name="after", done=place.records("after"))
    after.plug(task)
    after.link("input", memory("a"), is_input=True)
    report = await place.run(task, after)
    assert report.succeeded == {"after": 1}
    assert report.failed == {"task": 1}


# Which failures are tried again.


@pytest.mark.parametrize(
    ("end", "on", "attempts"),
    [
        ("exit 75", "exit:75", 3),
        ("exit 75", ["exit:7", "oom"], 1),
        ("exit 75", "exit", 3),
        ("sh -c 'kill -9 $PPID'; sleep 5", "signal:9", 3),
        ("sh -c 'kill -9 $PPID'; sleep 5", "signal:15", 1),
        ("sh -c 'kill -9 $PPID'; sleep 5", "exit", 1),
        ("sleep 30", "timeout", 3),
        ("sleep 30", ["signal", "exit"], 1),
        ("exit 75", (), 3),
    ],
)
async def test_only_what_a_policy_names_is_tried_again(end: str, on: Any, attempts: int, place: Place) -> None:
    task = place.task(fails_until(place, 100, end), "a", retry=Retry(3, delay=0.01, on=on), timeout=0.3)
    record = await record_of(place, task)
    assert record["attempt"] == attempts


async def test_losses_do_not_use_up_the_tries_of_failures(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdt.attempts.policy.LOST_DELAY", 0.02)
    for _ in range(2):
        token = await interrupt(place, "sleep 30", retry=Retry(2, delay=0.01))
        await place.kill_everything(token)
    record = await record_of(place, place.task("exit 3", "a", retry=Retry(2, delay=0.01)))
    assert (record["reason"], record["attempt"]) == ("exit", 4)  # two were lost, and two have failed


async def test_what_is_lost_for_ever_is_given_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that takes its whole machine down is not run for ever."""
    monkeypatch.setattr("pdt.attempts.policy.LOST_DELAY", 0.01)
    monkeypatch.setattr("pdt.attempts.policy.LOST_ATTEMPTS", 2)
    for _ in range(3):
        token = await interrupt(place, "sleep 30")
        await place.kill_everything(token)
    record = await record_of(place, place.task("true", "a"))
    assert (record["reason"], record["attempt"]) == ("lost", 3)


# What waits holds up nothing else.


async def test_a_job_that_waits_for_its_turn_holds_up_no_other(place: Place) -> None:
    """It takes nothing of the quota meanwhile."""
    manager = quota(1)
    task = place.task(
        fails_until(place, 1, "test $PDT_JOB != a || exit 75"), "a", "b", "c", retry=Retry(2, delay=1000), quota=manager
    )
    async with place.pipeline(task) as pipeline, asyncio.timeout(20):
        running = asyncio.get_running_loop().create_task(pipeline.run())
        await until(lambda: pipeline.runner.report.retried and pipeline.runner.report.succeeded["task"] == 2)
        assert (await manager.usage()).cpu == 0
        assert not running.done()
        pipeline.stop()
        await running
    assert await place.done.keys() == {"b", "c"}


async def test_f30_a_job_that_fails_for_ever_starves_no_other(place: Place) -> None:
    jobs = [f"j{number:03}" for number in range(60)]
    task = place.task(
        f"echo $PDT_JOB >>{place.path}/runs; test $PDT_JOB != j000",
        *jobs,
        retry=Retry(1000, delay=0.05, max_delay=3600),
    )
    other = place.task("true", *jobs, name="other", done=place.records("other"))
    async with place.pipeline(task, other) as pipeline, asyncio.timeout(30):
        running = asyncio.get_running_loop().create_task(pipeline.run())
        await until(lambda: pipeline.runner.report.succeeded.total() == 119, 20)
        report = pipeline.runner.report
        tries = (place.path / "runs").read_text().split().count("j000")
        assert tries <= 12  # the delay doubles: it is not a hot loop
        pipeline.stop()
        await running
    assert report.succeeded == {"task": 59, "other": 60}


# Time.


@pytest.mark.parametrize("days", [-1000, 1000])
async def test_f21_a_clock_that_jumps_ends_nothing_and_keeps_nothing(
    days: int, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = place.path / "begun"
    task = place.task(
        f"test $PDT_JOB = slow || {{ : >{begun}; sleep 0.7; exit 0; }}; sleep 30",
        "quick",
        "slow",
        timeout=1.5,
        grace=0.5,
    )
    wall, moment = time.time, datetime.now
    async with place.pipeline(task) as pipeline, asyncio.timeout(20):
        running = asyncio.get_running_loop().create_task(pipeline.run())
        await until(begun.exists)
        monkeypatch.setattr(time, "time", lambda: wall() + days * 86400)
        monkeypatch.setattr("pdt.task.attempted.now", lambda: moment(UTC) + timedelta(days=days))
        start = time.monotonic()
        await running
        took = time.monotonic() - start
    assert (await place.done.info("quick"))["reason"] == "success"
    assert (await place.done.info("slow"))["reason"] == "timeout"
    assert took < 10


async def test_f21_a_clock_that_jumps_between_controllers_changes_no_timeout(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is adopted has what is left of its time, by the machine's own clock."""
    await interrupt(place, "sleep 2", timeout=30)
    wall, moment = time.time, datetime.now
    monkeypatch.setattr(time, "time", lambda: wall() + 86400)
    monkeypatch.setattr("pdt.task.attempted.now", lambda: moment(UTC) + timedelta(days=1))
    await place.run(place.task("true", "a", timeout=30))
    assert (await place.done.info("a"))["reason"] == "success"


async def test_an_adopted_attempt_ends_when_its_time_is_over(place: Place) -> None:
    start = time.monotonic()
    await interrupt(place, "sleep 30", timeout=1.5)
    await asyncio.sleep(0.5)
    record = await record_of(place, place.task("true", "a", timeout=1.5, grace=1))
    assert record["reason"] == "timeout"
    assert 1.4 < time.monotonic() - start < 10


# Bodies that are functions.


@pytest.mark.parametrize("kind", ["coroutine", "plain"])
async def test_a_function_that_takes_too_long_is_recorded_as_such(kind: str, place: Place) -> None:
    release = threading.Event()

    async def coroutine(job: str) -> None:
        await asyncio.sleep(30)

    def plain(job: str) -> None:
        release.wait(20)

    task = pdt.InProcessSyncTask("task", place.done, func=coroutine if kind == "coroutine" else plain, timeout=0.2)
    task.link("input", memory("a"), is_input=True)
    async with place.pipeline(task) as pipeline, asyncio.timeout(10):
        running = asyncio.get_running_loop().create_task(pipeline.run())
        try:
            while not await place.done.contains("a"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            record = await place.done.info("a")
        finally:
            release.set()
        report = await running
    assert (record["reason"], record["success"], record["result"]) == ("timeout", False, "exception")
    assert "it took longer than 0.2 s" in record["exception"]
    assert report.failed == {"task": 1}


async def test_a_coroutine_that_took_too_long_is_tried_again(place: Place) -> None:
    runs = []

    async def body(job: str) -> None:
        runs.append(job)
        if len(runs) < 3:
            await asyncio.sleep(30)

    task = pdt.InProcessSyncTask("task", place.done, func=body, timeout=0.1, retry=Retry(3, delay=0.01, on="timeout"))
    task.link("input", memory("a"), is_input=True)
    await place.run(task)
    record = await place.done.info("a")
    assert (record["reason"], record["attempt"]) == ("success", 3)


async def test_a_function_that_runs_on_in_its_thread_is_not_joined_by_a_second_attempt(place: Place) -> None:
    release, runs = threading.Event(), []

    def body(job: str) -> None:
        runs.append(job)
        release.wait(20)

    task = pdt.InProcessSyncTask("task", place.done, func=body, timeout=0.1, retry=Retry(3, delay=0.01))
    task.link("input", memory("a"), is_input=True)
    async with place.pipeline(task) as pipeline, asyncio.timeout(10):
        running = asyncio.get_running_loop().create_task(pipeline.run())
        try:
            while not await place.done.contains("a"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            assert runs == ["a"]
        finally:
            release.set()
        await running
    assert runs == ["a"]
    assert ((await place.done.info("a"))["reason"], (await place.done.info("a"))["attempt"]) == ("timeout", 1)


async def test_a_body_that_raises_timeout_itself_has_raised(place: Place) -> None:
    async def body(job: str) -> None:
        raise TimeoutError("of a server")

    task = pdt.InProcessSyncTask("task", place.done, func=body, timeout=20)
    task.link("input", memory("a"), is_input=True)
    await place.run(task)
    assert (await place.done.info("a"))["reason"] == "exception"


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 10**9, "1", True, timedelta(days=-1)])
def test_timeouts_of_functions_are_checked(timeout: Any, place: Place) -> None:
    with pytest.raises(ConfigurationError, match="timeout of task 'task' is"):
        pdt.InProcessSyncTask("task", place.done, timeout=timeout)


@pytest.mark.parametrize("kind", KINDS)
def test_policies_are_checked(kind: str, kinds: Kinds) -> None:
    for retry in ("3", 2.5, [3]):
        with pytest.raises(ConfigurationError, match="retry of task 'task' is"):
            kinds.make(kind, 0, "a", retry=retry)
    with pytest.raises(ConfigurationError, match="attempts is 0"):
        kinds.make(kind, 0, "a", retry=0)


# What goes wrong around the end of a job.


class Stubborn(pdt.InProcessMetadataRepository):
    """Records in memory, of which some calls fail.

    :param fails: how many do.
    """

    def __init__(self, fails: int) -> None:
        super().__init__()
        self.fails = fails

    async def delete(self, job: str) -> None:
        if self.fails:
            self.fails -= 1
            raise ConnectionError("away for a moment")
        await super().delete(job)


async def test_pids_that_cannot_be_deleted_at_once_lose_no_end(place: Place) -> None:
    """Of jobs that are to be tried again, and of those that end in the same moment."""
    pids = Stubborn(2)
    tries = f"{place.path}/tries-$PDT_JOB"
    script = f"sleep 0.3; echo x >>{tries}; test $(wc -l <{tries}) -gt 1"
    task = place.task(script, "a", "b", "c", pids=pids, retry=Retry(3, delay=0.01))
    async with place.pipeline(task) as pipeline, asyncio.timeout(20):
        report = await pipeline.run()
        assert await pipeline.ledger.list() == []
    assert {job: (await place.done.info(job))["attempt"] for job in "abc"} == {"a": 2, "b": 2, "c": 2}
    assert report.succeeded == {"task": 3}
    assert pids.data == {}


async def test_a_corrupt_input_blocks_its_job_only(place: Place) -> None:
    words = pdt.YamlMetadataFileRepository(place.path / "words")
    for job in "ab":
        (words.basedir / f"{job}.yaml").parent.mkdir(exist_ok=True)
        (words.basedir / f"{job}.yaml").write_text("word: x\n" if job == "a" else "{ torn")
    task = place.task("echo {{words.word}}", retry=3)
    task.link("words", words, is_input=True)
    report = await place.run(task)
    assert await place.done.keys() == {"a"}
    assert any("corrupt" in problem for problem in report.problems)
