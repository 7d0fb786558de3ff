"""Several controllers that share one pipeline: each job is done by one of them, and what one leaves by another."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos.cases import KILLED, check
from tests.chaos.site import Site

SCRIPT = Path(__file__).with_name("sharing.py")
#: Seconds after which what should have happened has not.
TIMEOUT = 60.0
HELD = 6


class Sharing:
    """A pipeline of some jobs of each kind, in a directory of its own, and the controllers that work on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.jobs: dict[str, list[str]] = {}
        self.controllers: list[subprocess.Popen[str]] = []

    def plan(
        self, *, pause: float = 0.02, at_once: int = 4, retry: float = 0.0, gate: bool = True, **jobs: int
    ) -> None:
        """Put jobs there: so many of each task.

        :param gate: whether the gate is open.
        """
        if gate:
            self.open_gate()
        plan = {"tasks": list(jobs), "pause": pause, "at_once": at_once, "retry": retry}
        (self.directory / "plan.json").write_text(json.dumps(plan))
        for task, count in jobs.items():
            (self.directory / f"{task}.in").mkdir()
            self.jobs[task] = [f"job-{number}" for number in range(count)]
            for job in self.jobs[task]:
                (self.directory / f"{task}.in" / job).touch()
        if "process" in jobs:
            self.jobs["last"] = self.jobs["process"]

    def open_gate(self) -> None:
        """Let bodies go on that have begun."""
        (self.directory / "gate").touch()

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a controller that shares the pipeline, or do what is said instead."""
        command = [sys.executable, str(SCRIPT), str(self.directory), *(words or ("run", "--shared"))]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.controllers.append(process)
        return process

    def end(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """Wait for the end of a controller, and return its exit status and what it said."""
        said = process.communicate(timeout=TIMEOUT)[0]
        return process.returncode, said

    def lines(self, what: str = "start") -> list[tuple[str, str, int]]:
        """Return the executions so far: task, job, and controller."""
        try:
            words = [line.split() for line in (self.directory / "history").read_text().splitlines()]
        except FileNotFoundError:
            return []
        return [(task, job, int(controller)) for task, job, controller, mark in words if mark == what]

    def executions(self) -> Counter[tuple[str, str]]:
        """Return how often each job was begun."""
        return Counter((task, job) for task, job, _ in self.lines())

    def expected(self) -> set[tuple[str, str]]:
        """Return every job."""
        return {(task, job) for task, jobs in self.jobs.items() for job in jobs}

    def rows(self, database: str, query: str) -> list[tuple[str, ...]]:
        """Return what a database of the store has."""
        connection = sqlite3.connect(self.directory / ".pdt" / f"{database}.sqlite")
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def check_all_is_done(self) -> None:
        """Check that every job is recorded, and that nothing is left."""
        records = self.rows("records", "SELECT name, job FROM records ORDER BY name")
        assert {(name.removesuffix(".done"), job) for name, job in records} == self.expected()
        assert self.rows("attempts", "SELECT key FROM ledger") == []
        for kept in ("attempts", "journals"):
            assert list((self.directory / "processes").rglob(f"*/{kept}/*")) == []

    def run(self, *words: str) -> tuple[int, str]:
        """Run a command to its end."""
        return self.end(self.start(*words))

    def clear(self) -> None:
        """Kill the controllers, and what they have started."""
        for process in self.controllers:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                if f"SHARING_DIRECTORY={self.directory}\0".encode() in Path("/proc", name, "environ").read_bytes():
                    os.kill(int(name), signal.SIGKILL)
            except OSError:
                continue  # gone, or a stranger's


@pytest.fixture
def sharing(tmp_path: Path) -> Iterator[Sharing]:
    sharing = Sharing(tmp_path)
    yield sharing
    sharing.clear()


def until(condition: Callable[[], object]) -> None:
    """Return when something is so."""
    give_up = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


@pytest.mark.parametrize("count", [2, 4])
def test_f3_controllers_that_share_a_pipeline_start_each_job_once(sharing: Sharing, count: int) -> None:
    sharing.plan(function=80, executor=80, process=60, gate=False)
    controllers = [sharing.start() for _ in range(count)]
    until(lambda: len({controller for _, _, controller in sharing.lines()}) == count)
    sharing.open_gate()
    ended = [sharing.end(controller) for controller in controllers]
    assert [code for code, _ in ended] == [0] * count, ended
    assert sharing.executions() == Counter(dict.fromkeys(sharing.expected(), 1))
    assert {controller for _, _, controller in sharing.lines()} == {controller.pid for controller in controllers}
    sharing.check_all_is_done()


def test_f3_what_one_of_several_leaves_when_it_is_killed_is_the_others(sharing: Sharing) -> None:
    sharing.plan(function=60, executor=60, process=60, pause=0.1, gate=False)
    victim, *others = [sharing.start() for _ in range(3)]

    def mine(what: str) -> set[tuple[str, str]]:
        return {(task, job) for task, job, controller in sharing.lines(what) if controller == victim.pid}

    kinds = {"function", "executor", "process"}
    until(lambda: {task for task, _ in mine("start")} == kinds)
    sharing.open_gate()
    until(lambda: {task for task, _ in mine("end")} >= kinds)
    victim.kill()
    victim.wait()
    inside = {(task, job) for task, job in mine("start") if task != "process"}
    ended = [sharing.end(controller) for controller in others]
    assert [code for code, _ in ended] == [0, 0], ended
    again = {job for job, count in sharing.executions().items() if count > 1}
    assert sharing.executions().keys() == sharing.expected()
    assert "process" not in {task for task, _ in again}  # they have run on
    # Those of functions ended with it, or were not recorded: they are few, and run once more.
    assert again <= inside
    assert len(again) < 30
    assert max(sharing.executions().values()) <= 2
    sharing.check_all_is_done()


@pytest.mark.parametrize("seed", range(3))
def test_f3_those_that_share_a_pipeline_may_be_killed_at_any_place(tmp_path: Path, seed: int) -> None:
    site = Site(tmp_path, {"files": 30, "streams": 30, "again": 20}, pause=0.05, journal_size=1500)
    chance = random.Random(seed)
    # The last three live on: they share what the others leave.
    places = [f"*=kill@{chance.randint(5, 400)}" for _ in range(7)] + [""] * 3
    running = [site.start(place, "--shared") for place in places[:3]]
    try:
        for place in places[3:]:
            until(lambda: any(controller.poll() is not None for controller in running))
            ended = next(controller for controller in running if controller.poll() is not None)
            running.remove(ended)
            assert ended.communicate()[0] is None
            assert ended.returncode in (0, KILLED)
            running.append(site.start(place, "--shared"))
        ends = [(controller.communicate(timeout=TIMEOUT)[1], controller.returncode) for controller in running]
        assert {code for _, code in ends} == {0}, ends
        assert sum(site.judge().counts.values()) == 0
        check(site)
    finally:
        for controller in running:
            controller.kill()
        site.clear()


def test_what_runs_when_every_controller_is_killed_is_the_next_ones(sharing: Sharing) -> None:
    sharing.plan(process=8, at_once=4, gate=False)
    controllers = [sharing.start() for _ in range(2)]
    until(lambda: len(sharing.lines()) == 8)
    for controller in controllers:
        controller.kill()
        controller.wait()
    next_ones = [sharing.start() for _ in range(2)]
    sharing.open_gate()
    assert [sharing.end(controller)[0] for controller in next_ones] == [0, 0]
    assert set(sharing.executions().values()) == {1}
    sharing.check_all_is_done()


def test_one_that_works_alone_takes_over_from_those_that_shared(sharing: Sharing) -> None:
    sharing.plan(process=6, function=6, at_once=3, gate=False)
    controllers = [sharing.start() for _ in range(2)]
    until(lambda: len(sharing.lines()) == 12)
    for controller in controllers:
        controller.kill()
        controller.wait()
    sharing.open_gate()
    code, said = sharing.run("run")
    assert code == 0, said
    assert {count for (task, _), count in sharing.executions().items() if task == "process"} == {1}
    assert sharing.run("run", "--shared")[0] == 0  # which clears away what functions had claimed
    sharing.check_all_is_done()


def test_those_that_share_take_over_from_one_that_worked_alone(sharing: Sharing) -> None:
    sharing.plan(process=4, at_once=4, gate=False)
    alone = sharing.start("run")
    until(lambda: len(sharing.lines()) == 4)
    alone.kill()
    alone.wait()
    sharing.open_gate()
    controllers = [sharing.start() for _ in range(2)]
    assert [sharing.end(controller)[0] for controller in controllers] == [0, 0]
    assert set(sharing.executions().values()) == {1}
    sharing.check_all_is_done()


def test_a_job_that_waits_to_be_tried_again_is_the_next_ones(sharing: Sharing) -> None:
    sharing.plan(process=1, pause=0.01, retry=6.0)
    victim = sharing.start()
    until(lambda: sharing.lines("end"))
    until(lambda: sharing.rows("attempts", "SELECT key FROM ledger WHERE key LIKE 'end/%'"))
    other = sharing.start()
    # It is the first one's to try again, as long as that lives.
    with pytest.raises(subprocess.TimeoutExpired):
        other.communicate(timeout=3)
    assert len(sharing.lines()) == 1
    victim.kill()
    victim.wait()
    code, said = sharing.end(other)
    assert code == 0, said
    assert {line[2] for line in sharing.lines() if line[0] == "process"} == {victim.pid, other.pid}
    sharing.check_all_is_done()


def test_one_may_join_while_another_works(sharing: Sharing) -> None:
    sharing.plan(function=30, at_once=2, gate=False)
    first = sharing.start()
    until(lambda: len(sharing.lines()) == 2)
    second = sharing.start()
    until(lambda: len(sharing.lines()) == 4)
    sharing.open_gate()
    assert [sharing.end(controller)[0] for controller in (first, second)] == [0, 0]
    assert {controller for _, _, controller in sharing.lines()} == {first.pid, second.pid}
    assert set(sharing.executions().values()) == {1}


def test_the_last_jobs_are_spread(sharing: Sharing) -> None:
    sharing.plan(function=8, executor=8, process=8, at_once=4, gate=False)
    controllers = [sharing.start() for _ in range(2)]
    # Of the executor's jobs two run in each, and two wait in it.
    until(lambda: len(sharing.lines()) == 20)
    for task, at_once in (("function", 4), ("executor", 2), ("process", 4)):
        has = Counter(controller for name, _, controller in sharing.lines() if name == task)
        assert sorted(has.values()) == [at_once, at_once], task
    sharing.open_gate()
    assert [sharing.end(controller)[0] for controller in controllers] == [0, 0]
    assert set(sharing.executions().values()) == {1}


def test_one_that_works_alone_and_those_that_share_keep_each_other_out(sharing: Sharing) -> None:
    sharing.plan(process=2, gate=False)
    first = sharing.start()
    until(lambda: len(sharing.lines()) == 2)
    code, said = sharing.run("run")
    assert code == HELD
    assert f"works on this pipeline and shares it: process {first.pid} on " in said
    assert "join it with --shared" in said
    first.kill()
    first.wait()
    alone = sharing.start("run")
    until(lambda: f'"pid": {alone.pid}' in (sharing.directory / ".pdt" / "sharing.lock").read_text())
    code, said = sharing.run("run", "--shared")
    assert code == HELD
    assert f"does not share it: process {alone.pid} on " in said
    assert "start both with --shared" in said
    sharing.open_gate()
    assert sharing.end(alone)[0] == 0
    assert set(sharing.executions().values()) == {1}


def test_a_request_to_cancel_reaches_the_one_that_runs_the_job(sharing: Sharing) -> None:
    sharing.plan(process=2, pause=30.0, at_once=1)
    controllers = [sharing.start() for _ in range(2)]
    until(lambda: len(sharing.lines()) == 2)
    by_job = {job: controller for _, job, controller in sharing.lines()}
    assert set(by_job.values()) == {controller.pid for controller in controllers}
    for job in ("job-1", "job-0"):
        code, said = sharing.run("cancel", "process", job)
        assert code == 0, said
        assert f"process {job}: cancelled" in said
    assert [sharing.end(controller)[0] for controller in controllers] == [1, 1]
    assert sharing.rows("attempts", "SELECT key FROM ledger") == []


def test_a_function_is_cancelled_by_the_one_that_has_it(sharing: Sharing) -> None:
    sharing.plan(executor=8, pause=30.0)
    controllers = [sharing.start() for _ in range(2)]
    until(lambda: len(sharing.lines()) == 4)
    assert {controller for _, _, controller in sharing.lines()} == {controller.pid for controller in controllers}
    for job in sharing.jobs["executor"]:
        code, said = sharing.run("cancel", "executor", job)
        assert code == 0, said
        assert f"executor {job}: cancelled" in said
    assert [sharing.end(controller)[0] for controller in controllers] == [1, 1]
    assert sharing.rows("attempts", "SELECT key FROM ledger") == []
