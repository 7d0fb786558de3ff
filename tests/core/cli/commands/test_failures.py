"""`pdt failures`: what failed and why, one by one and together."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pdt import Pipeline
from tests.core.cli.support import call, run_pdt, write_processes

SCRIPTS = {
    "ok": "true",
    "x1": "echo first; echo 'cannot open /data/x1/7.txt' >&2; exit 3",
    "x2": "until [ -e in/ok.txt ]; do :; done; echo 'cannot open /data/x2/8.txt' >&2; exit 3",
    "killed": "kill -9 $$",
    "quiet": "exit 75",
}


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    """Return a project whose scripts have failed in several ways."""
    write_processes(tmp_path, SCRIPTS)
    assert run_pdt("run", "-q", cwd=tmp_path).returncode == 1
    return tmp_path


def rows(directory: Path, *words: str) -> list[dict[str, Any]]:
    result = run_pdt("failures", *words, "-o", "json", cwd=directory)
    assert result.returncode == 1
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_one_by_one(failed: Path) -> None:
    found = {row["job"]: row for row in rows(failed)}
    assert found.keys() == SCRIPTS.keys() - {"ok"}
    assert (
        found["x1"].items()
        >= {
            "task": "work",
            "reason": "exit",
            "attempt": 1,
            "return_code": 3,
            "signal": None,
            "cause": "cannot open /data/x1/7.txt",
        }.items()
    )
    assert (found["killed"]["reason"], found["killed"]["signal"]) == ("signal", 9)
    assert found["quiet"]["cause"] == "exit 75"
    times = [row["when"] for row in rows(failed)]
    assert times == sorted(times)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", time) for time in times)


def test_a_table_for_people(failed: Path) -> None:
    lines = run_pdt("failures", "work", cwd=failed).stdout.splitlines()
    assert lines[0].split() == ["TASK", "JOB", "REASON", "ATTEMPT", "RETURN", "CODE", "WHEN", "CAUSE"]
    assert len(lines) == 5
    assert any(re.search(r"^work +x1 +exit +1 +3 .* cannot open /data/x1/7\.txt$", line) for line in lines)


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("cause", {"cannot open <path>": 2, "exit 75": 1, "signal 9": 1}),
        ("reason", {"exit": 3, "signal": 1}),
        ("task", {"work": 4}),
    ],
)
def test_groups(failed: Path, by: str, groups: dict[str, int]) -> None:
    found = rows(failed, "--group-by", by)
    assert {row[by]: row["count"] for row in found} == groups
    assert found[0]["count"] == max(groups.values())
    assert all(len(row["examples"]) == min(3, row["count"]) for row in found)


def test_groups_as_a_table_and_as_names(failed: Path) -> None:
    lines = run_pdt("failures", "--group-by", "cause", cwd=failed).stdout.splitlines()
    assert lines[0].split() == ["COUNT", "CAUSE", "TASKS", "EXAMPLES"]
    assert re.fullmatch(r"2      cannot open <path>  work   (x1 x2|x2 x1)", lines[1])
    assert run_pdt("failures", "--group-by", "task", "-o", "name", cwd=failed).stdout == "work\n"


def test_names_and_lines(failed: Path) -> None:
    names = run_pdt("failures", "-o", "name", cwd=failed)
    assert sorted(names.stdout.split()) == ["killed", "quiet", "x1", "x2"]
    assert (names.returncode, names.stderr) == (1, "")
    lines = run_pdt("failures", "-o", "jsonl", cwd=failed).stdout.splitlines()
    assert [json.loads(line)["job"] for line in lines] == names.stdout.split()
    assert run_pdt("failures", "-o", "yaml", cwd=failed).stdout.startswith("- task: work\n  job: ")


def test_where_nothing_failed(failed: Path) -> None:
    result = run_pdt("failures", "count", cwd=failed)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "no job has failed\n")
    result = run_pdt("failures", "count", "-o", "json", cwd=failed)
    assert (result.returncode, result.stdout) == (0, "[]\n")
    assert run_pdt("failures", "cuont", cwd=failed).returncode == 3


def test_functions(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "run", "-q") == 1
    capsys.readouterr()
    assert call(pipeline, "failures", "-o", "json") == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["job"], row["reason"], row["cause"]) == ("d", "exception", "ValueError('boom')")
    assert row["return_code"] is None


def test_a_record_that_cannot_be_read_is_said_and_hides_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pdt import InProcessMetadataRepository, InProcessSyncTask, YamlMetadataFileRepository

    done = YamlMetadataFileRepository(tmp_path)
    (tmp_path / "a.yaml").write_text("[")
    (tmp_path / "b.yaml").write_text("{success: false, reason: exception, exception: boom}")
    task = InProcessSyncTask("t", done, func=lambda job: None)
    task.link("input", InProcessMetadataRepository(), is_input=True)
    assert call(Pipeline([task], name="p", store=tmp_path / "store"), "failures", "-o", "name") == 5
    printed = capsys.readouterr()
    assert printed.out == "b\n"
    assert "a.yaml" in printed.err
