"""`pdt retry`: failed jobs run again, and others are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdt import Pipeline
from tests.core.cli.support import call, run_pdt, running_pdt, until, write_processes

#: Succeeds once there is a file of its name.
ONCE = "echo run >> runs-{job}; [ -e mended-{job} ]"


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    """Return a project with the jobs a and b, which failed, and ok, which did not."""
    (tmp_path / "mended-ok").touch()
    write_processes(tmp_path, {job: ONCE.replace("{job}", job) for job in ("a", "b", "ok")})
    assert run_pdt("run", "-q", cwd=tmp_path).returncode == 1
    return tmp_path


def jobs(directory: Path, link: str) -> str:
    return run_pdt("ls", link, cwd=directory).stdout.replace("\n", "")


def runs(directory: Path, job: str) -> int:
    return len((directory / f"runs-{job}").read_text().splitlines())


def test_one_job(failed: Path) -> None:
    (failed / "mended-a").touch()
    result = run_pdt("retry", "work", "a", cwd=failed)
    assert (result.returncode, result.stdout) == (0, "work a: exit 1\n")
    assert "1 job to be run again" in result.stderr
    assert jobs(failed, "work.failed") == "b"
    assert run_pdt("run", "-q", cwd=failed).returncode == 0
    assert jobs(failed, "work.done") == "aok"
    assert [runs(failed, job) for job in ("a", "b", "ok")] == [2, 1, 1]


@pytest.mark.parametrize("words", [["work", "--failed"], ["--failed"], ["work", "*"]])
def test_all_that_failed(failed: Path, words: list[str]) -> None:
    result = run_pdt("retry", *words, cwd=failed)
    assert (result.returncode, sorted(result.stdout.splitlines())) == (0, ["work a: exit 1", "work b: exit 1"])
    assert jobs(failed, "work.failed") == ""
    assert jobs(failed, "work.done") == "ok"
    assert run_pdt("run", "-q", cwd=failed).returncode == 1
    assert [runs(failed, job) for job in ("a", "b", "ok")] == [2, 2, 1]


def test_a_dry_run_changes_nothing(failed: Path) -> None:
    result = run_pdt("retry", "--failed", "-n", cwd=failed)
    assert sorted(result.stdout.splitlines()) == ["work a: exit 1", "work b: exit 1"]
    assert jobs(failed, "work.failed") == "ab"


def test_what_has_succeeded_or_never_run_is_left_alone(failed: Path) -> None:
    (failed / "in" / "new.txt").touch()
    result = run_pdt("retry", "work", "ok", "new", cwd=failed)
    assert (result.returncode, result.stdout) == (1, "")
    assert "ok has succeeded in work: its record stays; pdt rm work ok removes it" in result.stderr
    assert "new has not failed in work: pdt why work new says what it waits for" in result.stderr
    assert jobs(failed, "work.done") == "ok"


def test_unknown_jobs(failed: Path) -> None:
    result = run_pdt("retry", "work", "a", "nope", cwd=failed)
    assert (result.returncode, result.stdout) == (3, "work a: exit 1\n")
    assert "there is no job 'nope' in this pipeline" in result.stderr
    assert run_pdt("retry", "work", "z*", cwd=failed).returncode == 3
    assert run_pdt("retry", "wrk", "a", cwd=failed).returncode == 3


def test_what_is_meant_has_to_be_said(failed: Path) -> None:
    for words, message in {
        (): "no job was named",
        ("work",): "pdt retry work JOB..., or pdt retry work --failed",
        ("work", "a", "--failed"): "both all that failed and some jobs were named",
    }.items():
        result = run_pdt("retry", *words, cwd=failed)
        assert result.returncode == 2
        assert message in result.stderr
    assert jobs(failed, "work.failed") == "ab"


def test_nothing_failed(failed: Path) -> None:
    result = run_pdt("retry", "count", "--failed", cwd=failed)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "no job has failed\n")


def test_the_log_stays(failed: Path) -> None:
    for what in ("this", "that"):
        (failed / "in" / "a.txt").write_text(f"echo {what} happened; exit 1")
        run_pdt("retry", "work", "a", cwd=failed)
        run_pdt("run", "-q", cwd=failed)
    assert run_pdt("logs", "work", "a", cwd=failed).stdout == "that happened\n"
    run_pdt("retry", "work", "a", cwd=failed)
    for number, what in (("2", "this"), ("3", "that")):
        assert run_pdt("logs", "work", "a", "--attempt", number, cwd=failed).stdout == f"{what} happened\n"


def test_a_run_that_goes_on_takes_it_up(failed: Path) -> None:
    (failed / "mended-b").touch()
    with running_pdt("run", "--forever", "-q", cwd=failed):
        until(lambda: (failed / ".pdt" / "pipeline.lock").exists())
        assert run_pdt("retry", "work", "b", cwd=failed).returncode == 0
        until(lambda: runs(failed, "b") == 2)


def test_functions(pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "run", "-q") == 1
    (tmp_path / "in" / "d.txt").write_text("mended")
    capsys.readouterr()
    assert call(pipeline, "retry", "count", "d") == 0
    assert capsys.readouterr().out == "count d: ValueError('boom')\n"
    assert call(pipeline, "run", "-q") == 0
