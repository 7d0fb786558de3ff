"""Job ids on the command line: literal, as globs, and from stdin; invalid ones touch nothing."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from pdt import InvalidJobIdError, NotFoundError, Pipeline
from pdt.cli.jobs import resolve_jobs
from tests.core.cli.support import call, run_pdt

INVALID = ["../x", "", "a" * 64, "a\nb", "-a-", "a b", "é", "a/b", ".", ".."]


async def resolved(words: list[str], keys: set[str]) -> list[str]:
    async def listed() -> set[str]:
        return keys

    return await resolve_jobs(words, [], listed)


async def test_globs_match_keys_and_others_are_themselves() -> None:
    assert await resolved(["b", "a*", "a1", "?"], {"a1", "a2", "b", "c"}) == ["b", "a1", "a2", "c"]
    assert await resolved(["[ab]?"], {"a1", "b2", "c3"}) == ["a1", "b2"]


async def test_a_dash_reads_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("x\r\n\ny*\nz"))
    assert await resolved(["a", "-"], {"y1", "y2"}) == ["a", "x", "y1", "y2", "z"]


async def test_a_glob_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(NotFoundError, match=r"no job matches 'q\*'"):
        await resolved(["q*"], {"a"})


@pytest.mark.parametrize("job", INVALID)
async def test_what_is_no_job_id_is_refused(job: str) -> None:
    with pytest.raises(InvalidJobIdError):
        await resolved(["a", job], {"a"})


@pytest.mark.parametrize("job", [*INVALID, "a\0b"])
@pytest.mark.parametrize(
    "line",
    [
        "trace",
        "rm -r count",
        "rm count.input",
        "cat count.input",
        "inject count.input --value x",
        "launch count",
        "why count",
    ],
)
def test_every_command_refuses_it_and_touches_nothing(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, job: str
) -> None:
    before = sorted(tmp_path.rglob("*.txt"))
    command, *arguments = line.split()
    options = [word for word in arguments if word.startswith("-") or word == "x"]
    names = [word for word in arguments if word not in options]
    # After "--", where an id may begin with a dash.
    assert call(pipeline, command, *options, "--", *names, job) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "is not a valid job id: " in captured.err
    assert "\nfix: use 1 to 63 of these: letters, digits and '-._'; at both ends: letters and digits\n" in captured.err
    assert sorted(tmp_path.rglob("*.txt")) == before


def test_invalid_ids_on_stdin_are_refused(project: Path) -> None:
    for line in ("cat count.input -", "trace -", "rm count.input - -y"):
        for job in (b"../x", b"a\0b", b"a" * 64, b"\xff"):
            result = run_pdt(*line.split(), cwd=project, stdin=b"a\n" + job + b"\n")
            assert (result.returncode, result.stdout) == (2, ""), (line, job)
    assert (project / "in" / "a.txt").exists()
