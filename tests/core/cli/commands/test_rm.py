"""`pdt rm`: deleting from a link, from what a task writes, and from all that depends on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdt import InProcessMetadataRepository, InProcessSyncTask, MapRepository, Pipeline, delete_data
from tests.core.cli.support import call, run_pdt


def chain() -> Pipeline:
    """Return a pipeline of two tasks in memory, in which the jobs a and b are done."""
    both: dict[str, dict[str, str]] = {"a": {}, "b": {}}
    first = InProcessSyncTask("first", InProcessMetadataRepository(dict(both)), func=lambda job: None)
    first.link("input", InProcessMetadataRepository({**both, "c": {}}), is_input=True)
    first.link("output", InProcessMetadataRepository(dict(both)), is_output=True)
    second = InProcessSyncTask("second", InProcessMetadataRepository(dict(both)), func=lambda job: None)
    second.plug(first)
    second.link("result", InProcessMetadataRepository(dict(both)), is_output=True)
    return Pipeline([first, second], name="p")


def keys(pipeline: Pipeline) -> dict[str, str]:
    """Return the jobs of every link that is not another's, as one word each."""
    return {
        f"{task.name}.{name}": "".join(sorted(link.repo.data))  # type: ignore[attr-defined]
        for task in pipeline.tasks.values()
        for name, link in task.links.items()
        if not (task.name == "second" and name in ("output", "first_done"))
    }


BEFORE = {"first.done": "ab", "first.input": "abc", "first.output": "ab", "second.done": "ab", "second.result": "ab"}


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        (["first.output", "a"], {"first.output": "b"}),
        (["first.output", "a", "b"], {"first.output": ""}),
        (["first.output", "*"], {"first.output": ""}),
        (["first.output", "--all"], {"first.output": ""}),
        (["first.output", "__all__"], {"first.output": ""}),
        (["first", "a"], {"first.done": "b", "first.output": "b"}),
        (["second", "--all"], {"second.done": "", "second.result": ""}),
        (
            ["-r", "first", "b"],
            {"first.done": "a", "first.output": "a", "second.done": "a", "second.result": "a"},
        ),
        (["-r", "first.output", "b"], {"first.output": "a", "second.done": "a", "second.result": "a"}),
        (["-r", "first.input", "--all"], dict.fromkeys(BEFORE, "")),
        (["-n", "first", "a"], {}),
        (["--dry-run", "-r", "first.input", "--all"], {}),
    ],
)
def test_what_is_named_is_deleted(words: list[str], changed: dict[str, str]) -> None:
    pipeline = chain()
    assert call(pipeline, "rm", *words) == 0
    assert keys(pipeline) == BEFORE | changed


def test_what_was_deleted_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    pipeline = chain()
    for words in (["-n", "first", "a"], ["first", "a"]):
        output, done = (pipeline.tasks["first"].links[name].repo for name in ("output", "done"))
        before = sorted([f"a {done!r}", f"a {output!r}"])
        assert call(pipeline, "rm", *words) == 0
        printed = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in printed] == ["a", "a"]
        if words[0] == "-n":
            assert sorted(printed) == before


async def test_delete_data(capsys: pytest.CaptureFixture[str]) -> None:
    pipeline = chain()
    async with pipeline:
        await delete_data(pipeline, "first.output", False, ["a"])
        await delete_data(pipeline, "second", False, ["__all__"])
    assert keys(pipeline) == BEFORE | {"first.output": "b", "second.done": "", "second.result": ""}


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["first.output", "c"], 3, "there is no job 'c' in first.output"),
        (["frist", "a"], 3, "there is no task 'frist'"),
        (["first.outptu", "a"], 3, "task 'first' has no link 'outptu'"),
        (["first.output", "q*"], 3, "no job matches 'q*'"),
        (["first"], 2, "no job was named"),
        (["first.output", "a", "--all"], 2, "both every job and some jobs were named"),
        (["first.output", "__all__", "a"], 2, "both every job and some jobs were named"),
        (["first.output", "a", "../x"], 2, "'../x' is not a valid job id"),
    ],
)
def test_mistakes_delete_nothing(
    capsys: pytest.CaptureFixture[str], words: list[str], status: int, message: str
) -> None:
    pipeline = chain()
    assert call(pipeline, "rm", *words) == status
    assert keys(pipeline) == BEFORE
    assert capsys.readouterr().err.startswith(f"error: {message}")


def test_unknown_jobs_are_named_and_the_others_deleted(capsys: pytest.CaptureFixture[str]) -> None:
    pipeline = chain()
    assert call(pipeline, "rm", "first.output", "a", "zz") == 3
    assert keys(pipeline)["first.output"] == "b"
    assert capsys.readouterr().err == "error: there is no job 'zz' in first.output\nfix: there is b\n"


def test_nothing_to_delete_is_no_mistake() -> None:
    pipeline = chain()
    assert call(pipeline, "rm", "first.output", "--all") == 0
    assert call(pipeline, "rm", "first.output", "--all") == 0


def test_a_link_that_does_not_delete_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    base = InProcessMetadataRepository({"a": {}})
    task = InProcessSyncTask("t", InProcessMetadataRepository(), func=lambda job: None)
    task.link("input", MapRepository(base, lambda info: info), is_input=True)
    assert call(Pipeline([task], name="p"), "rm", "t.input", "a") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: MapRepository(")
    assert " still holds 1 of the jobs\nfix: it is computed" in captured.err


def test_jobs_come_from_stdin(project: Path) -> None:
    result = run_pdt("rm", "count.input", "-", cwd=project, stdin="a\nb*\n")
    assert result.returncode == 0
    assert sorted(path.stem for path in (project / "in").iterdir()) == ["d"]
