"""What pdt logs, as a command prints it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

import pdt
from pdt.cli.log import MOST_ALIKE, StderrHandler

Handled = Callable[..., StderrHandler]


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """Return a logger of its own."""
    logger = logging.getLogger("pdt_test_log")
    yield logger
    logger.handlers.clear()


@pytest.fixture
def handled(logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> Handled:
    """Return a function that has the logger handled, as in a process whose logging is not set up."""

    def handle(*, debug: bool = False) -> StderrHandler:
        monkeypatch.setattr(logging.getLogger(), "handlers", [])
        handler = StderrHandler(debug)
        logger.addHandler(handler)
        return handler

    return handle


def test_messages_are_lines_without_tracebacks(
    logger: logging.Logger, handled: Handled, capsys: pytest.CaptureFixture[str]
) -> None:
    handled()
    try:
        raise ValueError("inner")
    except ValueError:
        logger.exception("it failed: %s", "a\x1b[31mb")
    assert capsys.readouterr().err == "error: it failed: a\\x1b[31mb\n"


def test_debug_shows_tracebacks(logger: logging.Logger, handled: Handled, capsys: pytest.CaptureFixture[str]) -> None:
    handled(debug=True)
    try:
        raise ValueError("inner")
    except ValueError:
        logger.exception("it failed")
    assert "Traceback (most recent call last):" in capsys.readouterr().err


def test_a_flood_is_cut_short(logger: logging.Logger, handled: Handled, capsys: pytest.CaptureFixture[str]) -> None:
    handled()
    for number in range(1000):
        logger.warning("job %d failed", number)
        logger.warning("the same")
    lines = capsys.readouterr().err.splitlines()
    assert lines.count("warning: the same") == 1
    assert len([line for line in lines if line.startswith("warning: job")]) == MOST_ALIKE
    assert lines[-1] == "  (more of this sort are not shown; --debug shows them)"


def test_a_key_that_several_repositories_skip_is_told_of_once(
    handled: Handled, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger("pdt.repository").addHandler(handler := handled())
    try:
        for name in ("first", "second"):
            pdt.SqliteMetadataRepository("records.sqlite", name).report_skipped(["b c", "a b"])
    finally:
        logging.getLogger("pdt.repository").removeHandler(handler)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" in ")[0] for line in lines] == ["warning: Skipping 'a b'", "warning: Skipping 'b c'"]


def test_an_error_has_its_fix_on_a_line_of_its_own(
    logger: logging.Logger, handled: Handled, capsys: pytest.CaptureFixture[str]
) -> None:
    handled()
    logger.error("%s", pdt.BackendError("it is down", fix="start it"))
    assert capsys.readouterr().err == "error: it is down\nfix: start it\n"


def test_some_messages_can_be_held_back(
    logger: logging.Logger, handled: Handled, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = handled()
    release = handler.hold("pdt_test_log", logging.ERROR)
    logger.error("held")
    logger.warning("not held")
    release()
    logger.error("released")
    assert capsys.readouterr().err == "warning: not held\nerror: released\n"


def test_what_is_on_the_screen_is_cleared_first(
    logger: logging.Logger, handled: Handled, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = handled()
    cleared: list[str] = []
    handler.before.append(lambda: cleared.append("x"))
    logger.warning("message")
    assert (cleared, capsys.readouterr().err) == (["x"], "warning: message\n")


def test_a_user_who_has_set_up_logging_is_left_alone(
    logger: logging.Logger, handled: Handled, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handled()
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.NullHandler()])
    logger.error("message")
    assert capsys.readouterr().err == ""
