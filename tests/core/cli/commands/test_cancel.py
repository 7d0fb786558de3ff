"""`pdt cancel`: ending jobs that run as processes, whoever runs them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from pdt import InProcessMetadataRepository, Pipeline, Task
from tests.core.cli.support import call, run_pdt, running_pdt, until, write_processes, write_project

SLOW = "touch began-{job}; sleep 60 & echo $! > pid-{job}; wait"
#: Ignores that it is told to end.
STUBBORN = "trap '' TERM; touch began-{job}; while :; do sleep 1; done"


#: A pipeline of functions: one job at a time in a worker process, the others in this one.
FUNCTIONS = """
import asyncio
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
import pdt

HERE = os.path.dirname(os.path.abspath(__file__))
texts = pdt.FileRepository(HERE + "/in", extension=".txt")

def records(name):
    return pdt.SqliteMetadataRepository(HERE + "/.pdt/records.sqlite", name)

def begin(task, job):
    open(f"{HERE}/began-{task}-{job}", "x").close()
    return os.path.getsize(f"{HERE}/in/{job}.txt") > 0

async def waits(job):
    if begin("waits", job):
        await asyncio.sleep(60)

def blocks(job):
    if begin("blocks", job):
        time.sleep(60)

def works(job):
    if begin("works", job):
        time.sleep(60)

tasks = [
    pdt.InProcessSyncTask("waits", records("waits"), func=waits),
    pdt.InProcessSyncTask("blocks", records("blocks"), func=blocks),
    pdt.ExecutorTask("works", partial(ProcessPoolExecutor, 1), records("works"), func=works, retry=3),
]
for task in tasks:
    task.link("input", texts, is_input=True)
pipeline = pdt.Pipeline(tasks)
"""


def scripts(*jobs: str, text: str = SLOW) -> dict[str, str]:
    return {job: text.replace("{job}", job) for job in jobs}


def has_begun(directory: Path, *jobs: str) -> bool:
    return all((directory / f"began-{job}").exists() for job in jobs)


def failures(directory: Path) -> dict[str, Any]:
    rows = json.loads(run_pdt("failures", "-o", "json", cwd=directory).stdout)
    return {row["job"]: row["reason"] for row in rows}


def leave_running(directory: Path, *jobs: str) -> None:
    """Run the pipeline until these jobs have begun, and kill the controller."""
    with running_pdt("run", "-q", cwd=directory):
        until(lambda: has_begun(directory, *jobs))


def is_alive(pid: Path) -> bool:
    try:
        state = Path(f"/proc/{pid.read_text().strip()}/stat").read_text()
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def test_without_a_controller(tmp_path: Path) -> None:
    write_processes(tmp_path, scripts("a", "b"))
    leave_running(tmp_path, "a", "b")
    result = run_pdt("cancel", "work", "a", cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "work a: cancelled\n", "")
    assert failures(tmp_path) == {"a": "cancelled"}
    until(lambda: not is_alive(tmp_path / "pid-a"))
    assert is_alive(tmp_path / "pid-b")
    result = run_pdt("cancel", "work", "*", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "work b: cancelled\n")
    assert run_pdt("status", cwd=tmp_path).stdout.splitlines()[2:5] == ["work.pids 0", "work.done 0", "work.failed 2"]


def test_with_a_controller_elsewhere(tmp_path: Path) -> None:
    write_processes(tmp_path, {**scripts("a", "b"), "c": "while [ ! -e go ]; do sleep 0.05; done"})
    with running_pdt("run", cwd=tmp_path) as run:
        until(lambda: has_begun(tmp_path, "a", "b"))
        result = run_pdt("cancel", "work", "-", cwd=tmp_path, stdin="a\nb\n")
        assert result.stdout == "work a: cancelled\nwork b: cancelled\n"
        assert result.returncode == 0
        assert result.stderr.startswith("another controller works on this pipeline: process ")
        assert result.stderr.endswith("it is asked to cancel 2 jobs\n")
        assert failures(tmp_path) == {"a": "cancelled", "b": "cancelled"}
        again = run_pdt("cancel", "work", "a", cwd=tmp_path)
        assert again.returncode == 1
        assert "work a does not run: it has failed (cancelled" in again.stderr
        (tmp_path / "go").touch()
        _, stderr = run.communicate(timeout=30)
    assert run.returncode == 1
    assert "work: 1 ok, 2 failed" in stderr


def test_a_job_that_does_not_end_by_itself_is_killed(tmp_path: Path) -> None:
    write_processes(tmp_path, scripts("a", text=STUBBORN), options="")
    leave_running(tmp_path, "a")
    result = run_pdt("cancel", "work", "a", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "work a: cancelled\n")


def test_a_cancelled_job_is_not_tried_again(tmp_path: Path) -> None:
    write_processes(tmp_path, scripts("a"), options="retry=pdt.Retry(attempts=3, delay=0),")
    with running_pdt("run", "-q", cwd=tmp_path) as run:
        until(lambda: has_begun(tmp_path, "a"))
        assert run_pdt("cancel", "work", "a", cwd=tmp_path).returncode == 0
        run.wait(30)
    assert failures(tmp_path) == {"a": "cancelled"}


def test_the_controller_goes_away_before_it_has_taken_the_request(tmp_path: Path) -> None:
    write_processes(tmp_path, scripts("a"))
    with running_pdt("run", "-q", cwd=tmp_path) as run:
        until(lambda: has_begun(tmp_path, "a"))
        os.kill(run.pid, signal.SIGSTOP)
        with running_pdt("cancel", "work", "a", cwd=tmp_path) as cancelling:
            assert cancelling.stderr is not None
            assert "it is asked to cancel 1 job" in cancelling.stderr.readline()
            run.kill()
            assert cancelling.wait(30) == 0
    assert failures(tmp_path) == {"a": "cancelled"}


def test_interrupting_it_takes_the_request_back(tmp_path: Path) -> None:
    write_processes(tmp_path, scripts("a"))
    with running_pdt("run", "-q", cwd=tmp_path) as run:
        until(lambda: has_begun(tmp_path, "a"))
        os.kill(run.pid, signal.SIGSTOP)
        with running_pdt("cancel", "work", "a", cwd=tmp_path) as cancelling:
            assert cancelling.stderr is not None
            assert "it is asked" in cancelling.stderr.readline()
            cancelling.send_signal(signal.SIGINT)
            assert cancelling.wait(30) == 130
    assert run_pdt("run", "--launch-once", "--timeout", "1", cwd=tmp_path).returncode == 4
    assert is_alive(tmp_path / "pid-a")
    assert run_pdt("cancel", "work", "a", cwd=tmp_path).returncode == 0


def test_jobs_that_do_not_run(tmp_path: Path) -> None:
    write_processes(tmp_path, {"good": "true", "bad": "exit 3"}, options="retry=pdt.Retry(attempts=2, delay=3600),")
    result = run_pdt("run", "--timeout", "2", cwd=tmp_path)
    assert result.returncode == 4
    result = run_pdt("cancel", "work", "good", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (1, "work good does not run: it has succeeded\n")
    result = run_pdt("cancel", "work", "bad", cwd=tmp_path)
    assert result.returncode == 1
    assert "work bad does not run: it waits to be tried again" in result.stderr
    result = run_pdt("cancel", "work", "god", "good", cwd=tmp_path)
    assert result.returncode == 3
    assert "there is no job 'god' in this pipeline" in result.stderr
    assert "did you mean good?" in result.stderr
    result = run_pdt("cancel", "work", "b*", cwd=tmp_path)
    assert result.returncode == 3
    assert "no job matches 'b*'" in result.stderr


def test_the_jobs_of_a_strangers_task_are_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Mailbox(Task):
        async def launch(self, job: str) -> None: ...

        async def update(self) -> bool:
            return False

    task = Mailbox("mail")
    task.link("input", InProcessMetadataRepository({"a": {}}), is_input=True)
    task.link("sent", InProcessMetadataRepository(), is_status=True, inhibits_start=True)
    pipeline = Pipeline([task], store=tmp_path)
    assert call(pipeline, "cancel", "mail", "a") == 1
    error = capsys.readouterr().err
    assert "task 'mail' is Mailbox, whose jobs nobody else can end" in error
    assert "fix: derive it from TrackedTask" in error
    assert call(pipeline, "cancel", "mial", "a") == 3


# Functions.


def test_functions_are_cancelled_by_the_controller_that_runs_them(tmp_path: Path) -> None:
    write_project(tmp_path, {"a": "long", "b": "", "c": "long"}, FUNCTIONS)
    with running_pdt("run", "-q", cwd=tmp_path) as controller:
        until(lambda: (tmp_path / "began-waits-a").exists() and (tmp_path / "began-blocks-a").exists())
        until(lambda: (tmp_path / "began-works-a").exists() or (tmp_path / "began-works-c").exists())
        for task in ("waits", "blocks"):
            result = run_pdt("cancel", task, "a", cwd=tmp_path)
            assert (result.returncode, result.stdout) == (0, f"{task} a: cancelled\n")
            assert "it is asked to cancel 1 job" in result.stderr
        result = run_pdt("cancel", "works", "a", "c", cwd=tmp_path)
        assert result.returncode == 0
        assert sorted(result.stdout.splitlines()) == ["works a: cancelled", "works c: cancelled"]
        result = run_pdt("cancel", "waits", "b", "nobody", cwd=tmp_path)
        assert result.returncode == 3
        assert "waits b does not run: it has succeeded" in result.stderr
        result = run_pdt("cancel", "waits", "*", cwd=tmp_path)
        assert (result.returncode, result.stdout) == (0, "waits c: cancelled\n")
        assert run_pdt("cancel", "blocks", "c", cwd=tmp_path).returncode == 0
        assert controller.wait(30) == 1
    rows = json.loads(run_pdt("failures", "-o", "json", cwd=tmp_path).stdout)
    tasks = ("waits", "blocks", "works")
    assert {(row["task"], row["job"]) for row in rows} == {(task, job) for task in tasks for job in "ac"}
    assert {row["reason"] for row in rows} == {"cancelled"}
    assert run_pdt("ls", "works.done", cwd=tmp_path).stdout.split() == ["a", "b", "c"]


def test_functions_of_a_pipeline_that_nobody_runs_do_not_run(tmp_path: Path) -> None:
    write_project(tmp_path, {"a": "long"}, FUNCTIONS)
    result = run_pdt("cancel", "waits", "a", cwd=tmp_path)
    assert result.returncode == 1
    assert "waits a does not run" in result.stderr
    assert not (tmp_path / "began-waits-a").exists()
