"""What the system refuses: what was being done, which file, and what to do; exit status 5."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from pdt import Pipeline, SqliteMetadataRepository
from pdt.cli.oserrors import (
    NO_ANSWER,
    NO_DIRECTORY,
    NO_SPACE,
    OTHERWISE,
    PERMISSION,
    fix_of,
    fix_of_text,
    reason_of,
)
from tests.core.cli.support import call, pdt_command
from tests.support.ordinary_user import AsOrdinaryUser


@pytest.mark.parametrize(
    ("error", "reason", "fix"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "Permission denied: /x", PERMISSION),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device", NO_SPACE),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/x/y"), "Not a directory: /x/y", NO_DIRECTORY),
        (ConnectionError("no\nroute"), "ConnectionError: no route", NO_ANSWER),
        (OSError("odd"), "OSError: odd", OTHERWISE),
        (OSError(errno.EXDEV, "Cross"), "Cross", OTHERWISE),
    ],
)
def test_each_error_has_words_and_a_fix(error: OSError, reason: str, fix: str) -> None:
    assert (reason_of(error), fix_of(error)) == (reason, fix)
    if error.errno is not None:
        assert fix_of_text(f"cannot list it: {type(error).__name__}: {error}") == fix


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "line",
    [
        "status",
        "status -o json",
        "ls count.input",
        "cat count.input a",
        "plan",
        "trace a",
        "why count a",
        "graph",
        "--help",
        "run --help",
        "--version",
    ],
)
def test_a_full_disk_under_stdout(project: Path, line: str) -> None:
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            pdt_command(*line.split()), cwd=project, stdout=full, stderr=subprocess.PIPE, text=True, timeout=50
        )
    assert result.stderr == f"error: writing to stdout failed: No space left on device\nfix: {NO_SPACE}\n"
    assert result.returncode == 5


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_under_stderr_changes_no_exit_status(project: Path) -> None:
    with open("/dev/full", "wb") as full:
        for line, status in (("status", 0), ("status --bogus", 2), ("launch count nope", 3)):
            result = subprocess.run(
                pdt_command(*line.split()), cwd=project, stdout=subprocess.PIPE, stderr=full, timeout=50
            )
            assert result.returncode == status, line


@pytest.mark.parametrize(
    ("locked", "mode", "line", "message"),
    [
        ("in", 0o500, "inject count.input x --value y", "putting 'x' into count.input failed: Permission denied: "),
        ("in", 0o500, "rm count.input a -y", "removing from FileRepository('{path}', extension='.txt') failed: "),
        ("in/a.txt", 0o000, "cat count.input a", "reading 'a' of count.input failed: Permission denied: {path}"),
        ("in/a.txt", 0o000, "cat count.input a -o json", "reading 'a' of count.input failed: Permission denied: "),
        ("in", 0o000, "run", "opening the pipeline (count.input: FileRepository('{path}', extension='.txt')) failed: "),
        ("in", 0o000, "status", "count.input: FileRepository('{path}', extension='.txt') could not be listed: "),
        ("in", 0o000, "ls count.input", "FileRepository('{path}', extension='.txt') could not be listed: "),
        ("in", 0o000, "plan", "cannot list FileRepository('{path}', extension='.txt'): "),
    ],
)
def test_what_may_not_be_read_or_written(
    pipeline: Pipeline,
    tmp_path: Path,
    as_ordinary_user: AsOrdinaryUser,
    capfd: pytest.CaptureFixture[str],
    locked: str,
    mode: int,
    line: str,
    message: str,
) -> None:
    path = tmp_path / locked
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        assert as_ordinary_user(lambda: call(pipeline, *line.split())) == 5
    finally:
        path.chmod(before)
    text = capfd.readouterr().err
    assert f"error: {message.format(path=path)}" in text
    assert text.endswith(f"\nfix: {PERMISSION}\n")


def test_a_blocked_job_says_how_to_unblock_it(
    pipeline: Pipeline, tmp_path: Path, as_ordinary_user: AsOrdinaryUser, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").chmod(0)
    try:
        assert as_ordinary_user(lambda: call(pipeline, "why", "count", "a")) == 0
    finally:
        (tmp_path / "in").chmod(0o700)
    out, err = capfd.readouterr()
    assert out.startswith("count a: blocked: cannot list FileRepository(")
    assert out.endswith(f"\n  fix: {PERMISSION}\n")
    assert err == ""


def test_records_that_may_not_be_looked_at_are_not_taken_for_none(
    tmp_path: Path, pipeline: Pipeline, as_ordinary_user: AsOrdinaryUser, capfd: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    pipeline.tasks["count"].links["done"].repo = SqliteMetadataRepository(kept / "records.sqlite", "done")
    kept.chmod(0)
    try:
        assert as_ordinary_user(lambda: call(pipeline, "status")) == 5
    finally:
        kept.chmod(0o700)
    out, err = capfd.readouterr()
    assert "count.done ?\n" in out
    assert "\nfix: check that its directory exists, that you own it" in err


@pytest.mark.parametrize("text", ["import os\nos.mkdir('/proc/x')\n", "x = (\n", "1 / 0\n"])
def test_a_file_that_cannot_be_executed_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "pipeline.py").write_text(text)
    result = subprocess.run(pdt_command("status"), cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {tmp_path / 'pipeline.py'}:")
    assert "\nfix: " in result.stderr
