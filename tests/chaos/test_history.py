"""The judge of histories: what it must find in bad ones."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.history import Commit, History, judge

GOOD = History(
    jobs={"files": ["a"], "again": ["b"]},
    lines=[
        "files a 1f start",
        "again b 2a start",
        "files a 1f end",
        "again b 2a end",
        "again b 2b start",
        "again b 2b end",
    ],
    commits=[
        Commit("files", "a", '{"reason": "success", "attempt": 1}'),
        Commit("again", "b", '{"reason": "success", "attempt": 2}'),
    ],
    outputs={("files", "a"): {"file": "1f\ntext"}, ("again", "b"): {"file": "2b\ntext"}},
    expected={("files", "a"): {"file": "text"}, ("again", "b"): {"file": "text"}},
)


def record(**values: Any) -> str:
    return json.dumps({"reason": "success", "attempt": 1, **values})


def test_a_good_history_is_good() -> None:
    assert not any(judge(GOOD).counts.values()), str(judge(GOOD))


def test_a_decision_may_be_carried_out_twice() -> None:
    assert not any(judge(replace(GOOD, commits=[*GOOD.commits, *GOOD.commits])).counts.values())


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        pytest.param("lost", {"commits": GOOD.commits[1:]}, id="a job without a record"),
        pytest.param("lost", {"lines": GOOD.lines[1:2] + GOOD.lines[3:]}, id="a record without a run"),
        pytest.param("lost", {"lines": GOOD.lines[:4]}, id="a retry that was not made"),
        pytest.param("lost", {"outputs": {("again", "b"): {"file": "2b\ntext"}}}, id="a record without its output"),
        pytest.param(
            "lost",
            {"commits": [Commit("files", "a", record(reason="lost")), *GOOD.commits[1:]]},
            id="a record of another end",
        ),
        pytest.param("duplicate_runs", {"lines": [*GOOD.lines, GOOD.lines[0]]}, id="an attempt that ran twice"),
        pytest.param(
            "duplicate_runs",
            {"lines": [*GOOD.lines, "files a 1g start", "files a 1g end"]},
            id="an attempt too many",
        ),
        pytest.param(
            "duplicate_runs",
            {"lines": [GOOD.lines[1], GOOD.lines[4], GOOD.lines[0], *GOOD.lines[2:4], GOOD.lines[5]]},
            id="two attempts at once",
        ),
        pytest.param("duplicate_runs", {"lines": [*GOOD.lines, "files c 3a start"]}, id="a job that is none"),
        pytest.param("duplicate_runs", {"lines": [*GOOD.lines, "files a 9f end"]}, id="an end without a start"),
        pytest.param(
            "duplicate_commits",
            {"commits": [*GOOD.commits, Commit("files", "a", record(end=1))]},
            id="two records that differ",
        ),
        pytest.param(
            "duplicate_commits",
            {"commits": [Commit("files", "a", record(attempt=2)), *GOOD.commits[1:]]},
            id="a record of an attempt that did not run",
        ),
        pytest.param(
            "duplicate_commits",
            {"outputs": {**GOOD.outputs, ("again", "b"): {"file": "2a\ntext"}}},
            id="an output of an earlier attempt",
        ),
        pytest.param(
            "duplicate_commits",
            {"commits": [*GOOD.commits, Commit("files", "c", record())]},
            id="a record of a job that is none",
        ),
        pytest.param("torn", {"outputs": {**GOOD.outputs, ("files", "a"): {"file": "1f\nte"}}}, id="half an output"),
        pytest.param("torn", {"lines": [*GOOD.lines, "files a 1f st"]}, id="half a line"),
        pytest.param("leaked", {"left": ["process 1 runs"]}, id="a process that runs still"),
    ],
)
def test_a_bad_history_is_found(kind: str, changes: dict[str, Any]) -> None:
    counts = judge(replace(GOOD, **changes)).counts
    assert counts[kind] == 1, counts
