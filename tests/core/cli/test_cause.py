"""Causes of failures: what a record says, and what many of them have in common."""

from __future__ import annotations

from typing import Any

import pytest

from pdt.cli.cause import alike, cause_of, common_cause


@pytest.mark.parametrize(
    ("record", "cause", "common"),
    [
        ({"reason": "exit", "return_code": 3, "error": "no  such\tfile"}, "no such file", "no such file"),
        ({"reason": "exit", "return_code": 3, "error": None}, "exit 3", "exit 3"),
        ({"reason": "signal", "return_code": 139, "signal": 11}, "signal 11", "signal 11"),
        ({"reason": "timeout", "return_code": 143, "error": "step 7"}, "timeout: step 7", "timeout"),
        ({"reason": "lost"}, "lost", "lost"),
        ({"reason": "unlaunchable", "error": "no interpreter\nfix: install it"}, "no interpreter", "no interpreter"),
        ({"reason": "exception", "exception": "KeyError('a')"}, "KeyError('a')", "KeyError: <job>"),
        ({"reason": "exception", "exception": "two\nlines"}, "lines", "lines"),
        ({}, "failed", "failed"),
    ],
)
def test_what_a_record_says(record: dict[str, Any], cause: str, common: str) -> None:
    assert cause_of(record) == cause
    assert common_cause(record, "a") == common


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        ("cannot open /data/a/1.txt: No such file", "cannot open /data/b/2.txt: No such file", "cannot open <path>: "),
        ("script: 3: in/a.txt: not found", "script: 14: in/b.txt: not found", "script: <n>: <path>: not found"),
        ("at 0x7f3a99", "at 0xDEAD", "at <hex>"),
        ("commit 9fceb02d0ae5 is missing", "commit 0ae598fe1c2d is missing", "commit <hex> is missing"),
        ("row 'x12' has 3 columns", "row 'y' has 4 columns", "row <id> has <n> columns"),
        ("took 1.5 s", "took 12 s", "took <n> s"),
        ("ValueError('no line 7')", 'ValueError("no line 9")', "ValueError: no line <n>"),
        (
            "no pod 123e4567-e89b-12d3-a456-426614174000",
            "no pod 123e4567-e89b-12d3-a456-426614174999",
            "no pod <id>",
        ),
        ("job-1 is not there", "job-1 is not there", "<job> is not there"),
    ],
)
def test_the_same_mistake_reads_the_same(one: str, other: str, common: str) -> None:
    assert alike(one, "job-1") == alike(other, "job-1")
    assert alike(one, "job-1").startswith(common)


@pytest.mark.parametrize(
    "cause",
    ["division by zero", "I/O error", "either and/or both", "FileNotFoundError: No such file", "can't open the door"],
)
def test_what_is_the_same_anyway_stays(cause: str) -> None:
    assert alike(cause, "a-job") == cause


def test_different_mistakes_stay_apart() -> None:
    causes = ["OSError(28, 'No space left on device')", "OSError(5, 'Input/output error')", "boom", "bang"]
    assert len({alike(cause, "a") for cause in causes}) == 4


def test_the_jobs_own_id_is_left_out_only_as_a_whole() -> None:
    assert alike("a1: a1-b and a1.txt differ from ba1", "a1").startswith("<job>: a<n>-b and ")
    assert alike("max() arg is an empty sequence", "empty") == "max() arg is an empty sequence"
    assert alike("there is no row 'empty'", "empty") == alike("there is no row 'full'", "full")
