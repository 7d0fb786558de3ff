"""`pdt plan`: what would be launched, without launching it."""

from __future__ import annotations

import json
from collections.abc import Set

import pytest

from pdt import InProcessMetadataRepository, InProcessSyncTask, Pipeline
from pdt.cli.oserrors import OTHERWISE
from tests.core.cli.support import call


def test_ready_jobs_are_listed_in_order_and_none_is_launched(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert call(pipeline, "plan") == 0
        captured = capsys.readouterr()
        lines = [line.split(None, 3) for line in captured.out.splitlines()]
        assert [line[:3] for line in lines] == [
            ["TASK", "JOB", "DECISION"],
            ["count", "a", "launch"],
            ["count", "b", "launch"],
            ["count", "d", "launch"],
        ]
        assert captured.err == "count: 3 ready\n"


def test_priorities_come_first(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.priority = lambda task, job: {"a": 1, "b": 3, "d": 2}[job]
    assert call(pipeline, "plan", "-o", "name") == 0
    assert capsys.readouterr().out.split() == ["b", "d", "a"]


def test_few_are_named_and_all_counted(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "plan", "--limit", "1", "-o", "json") == 0
    captured = capsys.readouterr()
    assert [row["job"] for row in json.loads(captured.out)] == ["a"]
    assert captured.err == "count: 3 ready, 1 of them shown\n"
    assert call(pipeline, "plan", "--limit", "0", "-o", "jsonl") == 0
    assert capsys.readouterr() == ("", "count: 3 ready, 0 of them shown\n")


def test_nothing_to_launch(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "run", "-q") == 1
    assert call(pipeline, "plan") == 0
    assert capsys.readouterr() == ("", "nothing would be launched\n")


class Broken(InProcessMetadataRepository):
    async def keys(self) -> Set[str]:
        raise ConnectionError("no route to host")


def test_a_listing_that_fails_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    broken = InProcessSyncTask("broken", InProcessMetadataRepository(), func=lambda job: None)
    broken.link("input", Broken(), is_input=True)
    fine = InProcessSyncTask("fine", InProcessMetadataRepository(), func=lambda job: None)
    fine.link("input", InProcessMetadataRepository({"a": {}, "b c": {}}), is_input=True)
    assert call(Pipeline([broken, fine], name="p"), "plan", "-o", "name") == 5
    captured = capsys.readouterr()
    assert captured.out == "a\n"
    assert captured.err.splitlines() == [
        "fine: 1 ready",
        "fine: 1 skipped: 'b c' (not a valid job id)",
        "error: cannot list Broken(0 jobs): ConnectionError: no route to host",
        f"fix: {OTHERWISE}",
    ]
