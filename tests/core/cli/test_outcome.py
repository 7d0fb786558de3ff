"""How commands end: exit statuses, and a few lines for a person instead of a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdt import (
    BackendError,
    ConfigurationError,
    FileRepository,
    HeldError,
    InProcessMetadataRepository,
    InProcessSyncTask,
    NotFoundError,
    Pipeline,
    Repository,
)
from pdt.cli.commands.graph import graph
from pdt.cli.oserrors import NO_DIRECTORY, PERMISSION
from pdt.cli.outcome import Aborted, guard
from pdt.cli.output import OutputClosedError
from tests.core.cli.support import call


def raising(error: BaseException) -> int:
    raise error


def outcome(error: BaseException, *, debug: bool = False) -> int:
    return guard(lambda: raising(error), lambda: debug)


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (ConfigurationError("wrong", fix="right"), 2, "error: wrong\nfix: right\n"),
        (NotFoundError("no a\nb"), 3, "error: no a\n  b\n"),
        (BackendError("down"), 5, "error: down\n"),
        (HeldError("held"), 6, "error: held\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (Aborted(), 1, "nothing was changed\n"),
        (OutputClosedError(), 0, ""),
        (ExceptionGroup("several", [NotFoundError("one")]), 3, "error: one\n"),
        (ExceptionGroup("several", [NotFoundError("one"), HeldError("two")]), 6, "error: one\nerror: two\n"),
    ],
)
def test_errors_are_a_few_lines(
    error: BaseException, status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(error) == status
    assert capsys.readouterr() == ("", text)


def test_an_error_of_the_system_says_where_it_came_from_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(PermissionError(13, "Permission denied", "/x")) == 5
    text = capsys.readouterr().err
    assert text.startswith(f"error: {__file__}:")
    assert text.endswith(": PermissionError: [Errno 13] Permission denied: '/x'\nfix: " + PERMISSION + "\n")


def test_debug_adds_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(ConfigurationError("wrong"), debug=True) == 2
    text = capsys.readouterr().err
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("\nerror: wrong\n")


def test_an_error_in_foreign_code_is_not_blamed_on_pdt(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(ValueError("odd")) == 1
    text = capsys.readouterr().err
    assert text.startswith(f"error: {__file__}:")
    assert text.endswith(": ValueError: odd\nfix: --debug shows where it comes from\n")


def test_a_bug_is_called_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    broken: Pipeline = None  # type: ignore[assignment]
    assert guard(lambda: graph(broken), lambda: False) == 7
    text = capsys.readouterr().err
    assert "Traceback (most recent call last):" in text
    assert text.endswith("fix: this is a bug in pdt: please report it, with the lines above\n")


def one_task(repo: Repository) -> Pipeline:
    task = InProcessSyncTask("t", InProcessMetadataRepository(), func=lambda job: None)
    task.link("input", repo, is_input=True)
    return Pipeline([task], name="p")


def test_a_directory_that_cannot_be_used_is_a_backends_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    pipeline = one_task(FileRepository(file))
    assert call(pipeline, "run") == 5
    assert capsys.readouterr().err == (
        f"error: opening the pipeline (t.input: FileRepository('{file}')) failed: Not a directory: {file}\n"
        f"fix: {NO_DIRECTORY}\n"
    )
    assert call(pipeline, "status") == 5
    captured = capsys.readouterr()
    assert captured.out == "t\nt.input ?\nt.done 0\n\n"
    assert captured.err.startswith(f"error: t.input: FileRepository('{file}') could not be listed: ")
    assert captured.err.endswith(f"\nfix: {NO_DIRECTORY}\n")


class Unusable(InProcessMetadataRepository):
    async def validate(self) -> None:
        raise RuntimeError("no licence")


@pytest.mark.parametrize("command", ["status", "run", "update"])
def test_a_pipeline_that_cannot_be_opened(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(one_task(Unusable()), command) == 2
    assert capsys.readouterr().err == (
        "error: the pipeline cannot be opened (t.input: Unusable(0 jobs)): RuntimeError: no licence\n"
        "fix: --debug shows the traceback\n"
    )


def test_a_task_without_inhibitor_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    task = InProcessSyncTask("t", InProcessMetadataRepository(), func=lambda job: None)
    assert call(Pipeline([task], name="p"), "status") == 2
    text = capsys.readouterr().err
    assert text.startswith("error: task 't' has no required link")
    assert "\nfix: link what it reads" in text
