"""What the commands say of jobs that run as processes: summaries, and attempts that are still to come."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.core.cli.support import run_pdt, write_processes

TRIED = "retry=pdt.Retry(attempts=4, delay={delay}, factor=1, jitter=0),"


def test_the_summary_shows_the_last_failure_with_the_end_of_its_log(tmp_path: Path) -> None:
    write_processes(tmp_path, {"a": "seq 100; printf 'no \\033[31mway\\n' >&2; exit 3"})
    result = run_pdt("run", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.splitlines()[:-1] == [
        "work: 0 ok, 1 failed",
        "last failure: work a: no [31mway",
        *(f"  | {number}" for number in range(94, 101)),
        "  | no \\x1b[31mway",
        "  all of it: pdt logs work a",
        "  every failure: pdt failures --group-by cause; again: pdt retry --failed, then pdt run",
    ]


def test_the_summary_finds_the_log_in_a_repository(tmp_path: Path) -> None:
    streams = "stdout=pdt.FileRepository(HERE + '/o'), stderr=pdt.FileRepository(HERE + '/e'),"
    write_processes(tmp_path, {"a": "echo out; echo this went wrong >&2; exit 3"}, streams)
    assert "\n  | this went wrong\n" in run_pdt("run", cwd=tmp_path).stderr


def test_the_summary_of_a_failure_without_a_log(tmp_path: Path) -> None:
    write_processes(tmp_path, {"a": "exit 3"}, "keep_log=False,")
    assert "last failure: work a: exit 3\n  all of it: " in run_pdt("run", cwd=tmp_path).stderr


def test_the_summary_counts_attempts_that_were_followed_by_another(tmp_path: Path) -> None:
    script = "[ -e tried ] || { touch tried; exit 1; }"
    write_processes(tmp_path, {"a": script, "b": "true"}, TRIED.replace("{delay}", "0"))
    result = run_pdt("run", cwd=tmp_path)
    assert result.returncode == 0
    assert result.stderr.splitlines()[0] == "work: 2 ok, 1 tried again"


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    """Return a project with a job that waits for its second attempt, and one that has none to come."""
    write_processes(tmp_path, {"a": "echo nothing works; exit 3", "b": "true"}, TRIED.replace("{delay}", "300"))
    assert run_pdt("run", "--timeout", "1.5", cwd=tmp_path).returncode == 4
    return tmp_path


def test_why_tells_the_attempt_and_the_time_that_is_left(waiting: Path) -> None:
    result = run_pdt("why", "work", "a", cwd=waiting)
    found = re.fullmatch(
        r"work a: backing-off: attempt 2 of 4 starts in (\d+\.\d) s, as the last one failed: nothing works\n",
        result.stdout,
    )
    assert found is not None, result.stdout
    assert 200 < float(found[1]) < 300
    (row,) = json.loads(run_pdt("why", "work", "a", "-o", "json", cwd=waiting).stdout)
    assert row["verdict"] == "backing-off"
    assert 200 < row["until"] < 300


def test_why_of_an_attempt_whose_time_has_come(tmp_path: Path) -> None:
    write_processes(tmp_path, {"a": "exit 3"}, TRIED.replace("{delay}", "1"))
    assert run_pdt("run", "--timeout", "0.5", cwd=tmp_path).returncode == 4
    while "backing-off" in (text := run_pdt("why", "work", "a", cwd=tmp_path).stdout):
        pass
    assert text == "work a: ready: attempt 2 of 4 starts, as the last one failed: exit 3\n"


def test_status_tells_of_jobs_that_wait_for_another_attempt(waiting: Path) -> None:
    result = run_pdt("status", cwd=waiting)
    assert result.returncode == 0
    assert result.stderr == "work: 1 job failed and waits to be tried again\n"
    assert "work.pids 0\nwork.done 1\nwork.failed 0\n" in result.stdout
    assert "work.pids" in run_pdt("status", "-o", "json", cwd=waiting).stdout


def test_why_of_a_failure_says_how_to_run_it_again(tmp_path: Path) -> None:
    write_processes(tmp_path, {"a": "echo nothing works; exit 3"})
    run_pdt("run", "-q", cwd=tmp_path)
    lines = run_pdt("why", "work", "a", cwd=tmp_path).stdout.splitlines()
    assert lines[1:3] == ["  it failed: nothing works", "  to run it again: pdt retry work a"]
