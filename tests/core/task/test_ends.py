"""How the end of a process reads in its record."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdt.attempts.policy import REASONS
from pdt.proc_manager.runner import Exit
from pdt.task.ends import LONGEST_LINE, last_line, outcome_of

START = datetime(2026, 5, 6, tzinfo=UTC)
END = START + timedelta(seconds=3)
T = "0" * 32


@pytest.mark.parametrize(
    ("exit", "reason", "number"),
    [
        (Exit(T, 0), "success", None),
        (Exit(T, 1), "exit", None),
        (Exit(T, 127), "exit", None),
        (Exit(T, 128), "exit", None),
        (Exit(T, 129), "signal", 1),
        (Exit(T, 137), "signal", 9),
        (Exit(T, 143), "signal", 15),
        (Exit(T, 255), "exit", None),
        (Exit(T, None), "lost", None),
        (Exit(T, 143, killed="timeout"), "timeout", 15),
        (Exit(T, 137, killed="cancelled"), "cancelled", 9),
        (Exit(T, 3, killed="timeout"), "timeout", None),
        (Exit(T, None, killed="timeout"), "timeout", None),
        (Exit(T, 0, killed="timeout"), "success", None),
        (Exit(T, 137, cause="oom"), "oom", 9),
        (Exit(T, 137, killed="cancelled", cause="oom"), "cancelled", 9),
    ],
)
def test_reasons(exit: Exit, reason: str, number: int | None) -> None:
    outcome = outcome_of(exit, START, END)
    assert outcome == {
        "return_code": exit.return_code,
        "success": reason == "success",
        "reason": reason,
        "signal": number,
        "start_time": START,
        "end_time": END,
    }
    assert reason in REASONS
    assert exit.is_lost == (reason == "lost")


def test_what_else_there_is_to_say_is_the_error() -> None:
    outcome = outcome_of(Exit(T, None, detail="the machine was restarted"), START, END)
    assert outcome["error"] == "the machine was restarted"


@given(code=st.integers(0, 300))
def test_every_code_has_a_reason(code: int) -> None:
    outcome = outcome_of(Exit(T, code), START, END)
    assert outcome["success"] == (code == 0)
    assert (outcome["reason"] == "signal") == (outcome["signal"] is not None)
    if outcome["signal"] is not None:
        assert signal.Signals(outcome["signal"]) + 128 == code


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (b"", None),
        (b"\n \n\t\n", None),
        (b"one\ntwo\n", "two"),
        (b"one\ntwo", "two"),
        (b"cause\n\n  \r\n", "cause"),
        (b"  padded  \n", "padded"),
        (b"progress 1%\rprogress 2%\n", "progress 2%"),
        (b"\x1b[31mred\x1b[0m\n", "[31mred [0m"),
        (b"nul\0inside\n", "nul inside"),
        (b"\xff\xfe bytes\n", "\ufffd\ufffd bytes"),
        ("h\u00e9\n".encode(), "h\u00e9"),
        (b"text\n\0\0\0\n", "text"),
        (b"x" * 5000, "x" * LONGEST_LINE),
    ],
)
def test_the_last_line_that_says_something(log: bytes, line: str | None) -> None:
    assert last_line(log) == line


@given(log=st.binary(max_size=500))
def test_the_last_line_is_text_that_every_store_takes(log: bytes) -> None:
    line = last_line(log)
    if line is not None:
        assert line.isprintable()
        line.encode()
        assert 0 < len(line) <= LONGEST_LINE
