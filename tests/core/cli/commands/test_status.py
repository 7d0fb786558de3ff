"""`pdt status`: the reference's text, other formats, and links that cannot be listed."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import AsyncGenerator, Set
from pathlib import Path

import pytest

from pdt import (
    AggregateAndRepository,
    FileRepository,
    InProcessMetadataRepository,
    InProcessSyncTask,
    Pipeline,
    Repository,
    print_status,
)
from pdt.cli.oserrors import OTHERWISE
from tests.core.cli.support import call, pdt_command

TEXT = """\
count
count.input 3
count.done 0
count.counts 0

make-report
make-report.counts 0
make-report.done 0
make-report.out 0

"""


def test_the_text_is_the_references(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "status") == 0
    assert capsys.readouterr() == (TEXT, "")


async def test_print_status_prints_it_too(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    async with pipeline:
        await print_status(pipeline, False)
        assert capsys.readouterr().out == TEXT
        await print_status(pipeline, True)
    assert "make-report.count_done 0\n" in capsys.readouterr().out


def test_other_links_are_shown_on_demand(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "status", "-a") == 0
    assert "make-report.count_done 0\n" in capsys.readouterr().out


def test_formats(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "status", "-o", "json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[0] | {"repository": ""} == {
        "name": "count.input",
        "task": "count",
        "link": "input",
        "kind": "input",
        "repository": "",
        "jobs": 3,
        "skipped": 0,
        "skipped_keys": [],
        "problem": None,
    }
    assert call(pipeline, "status", "-o", "name") == 0
    assert capsys.readouterr().out.split() == [row["name"] for row in rows]
    assert call(pipeline, "status", "-o", "table") == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["count", "input", "input", "3", "0", "-"]


def test_keys_that_are_no_job_ids_are_counted_and_explained(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("two words", "-x", "\udcff", *(f"bad {number}" for number in range(9))):
        (tmp_path / "in" / f"{name}.txt").touch()
    assert call(pipeline, "status") == 0
    captured = capsys.readouterr()
    assert captured.out == TEXT
    assert captured.err.startswith("skipped: 12 keys of count.input: '-x' (it may begin and end only with ")
    assert captured.err.endswith("; and 7 more\n")
    assert call(pipeline, "status", "-o", "json") == 0
    captured = capsys.readouterr()
    row = json.loads(captured.out)[0]
    assert (row["jobs"], row["skipped"]) == (3, 12)
    assert row["skipped_keys"][0]["key"] == "'-x'"
    assert captured.err == ""


def test_what_only_looks_like_a_job_is_counted(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in" / "folder.txt").mkdir()
    (tmp_path / "in" / "link.txt").symlink_to("nowhere")
    (tmp_path / "in" / "folder").mkdir()
    assert call(pipeline, "status") == 0
    remark = "'folder.txt' (it is not a file); 'link.txt' (it is a link that leads nowhere)"
    assert capsys.readouterr() == (TEXT, f"skipped: 2 keys of count.input: {remark}\n")
    assert call(pipeline, "status", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)[0]["skipped"] == 2


class Broken(InProcessMetadataRepository):
    """A repository that cannot be listed."""

    async def keys(self) -> Set[str]:
        raise ConnectionError("no route to host")


class NotASet(InProcessMetadataRepository):
    """A repository that answers with something else than it should."""

    async def keys(self) -> Set[str]:
        return ["a"]  # type: ignore[return-value]


class BadSum(AggregateAndRepository):
    """A combination that cannot be computed."""

    def combine(self, answers: object) -> Set[str]:
        raise ZeroDivisionError("oh")


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (Broken(), "ConnectionError: no route to host"),
        (NotASet(), "TypeError: NotASet.keys() returned list, not a set"),
        (BadSum(a=InProcessMetadataRepository()), "ZeroDivisionError: oh"),
        (AggregateAndRepository(a=Broken()), "cannot list Broken(0 jobs): ConnectionError: no route to host"),
    ],
)
def test_a_link_that_cannot_be_listed_takes_no_other_with_it(
    broken: Repository, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    task = InProcessSyncTask("t", InProcessMetadataRepository({"x": 1}), func=lambda job: None)
    task.link("input", broken, is_input=True)
    task.link("other", InProcessMetadataRepository({"y": 1}), is_output=True)
    pipeline = Pipeline([task], name="p")
    assert call(pipeline, "status") == 5
    captured = capsys.readouterr()
    assert captured.out == "t\nt.input ?\nt.done 1\nt.other 1\n\n"
    assert captured.err == f"error: t.input: {broken!r} could not be listed: {problem}\nfix: {OTHERWISE}\n"
    assert call(pipeline, "status", "-o", "json") == 5
    rows = json.loads(capsys.readouterr().out)
    assert [(row["jobs"], row["problem"]) for row in rows] == [(None, problem), (1, None), (1, None)]


class Slow(InProcessMetadataRepository):
    """A stranger's repository, whose listing waits."""

    async def keys(self) -> Set[str]:
        import asyncio

        await asyncio.sleep(0.001)
        return set(self.data)

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        for key in await self.keys():
            yield key


def test_a_strangers_repository_gets_an_event_loop(capsys: pytest.CaptureFixture[str]) -> None:
    task = InProcessSyncTask("t", InProcessMetadataRepository(), func=lambda job: None)
    task.link("input", Slow({"a": 1}), is_input=True)
    assert call(Pipeline([task], name="p"), "status") == 0
    assert "t.input 1\n" in capsys.readouterr().out


def test_each_repository_is_listed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listings = []

    class Counted(InProcessMetadataRepository):
        async def keys(self) -> Set[str]:
            listings.append(1)
            return await super().keys()

    shared = Counted({"a": 1})
    tasks = []
    for number in range(5):
        task = InProcessSyncTask(f"t{number}", InProcessMetadataRepository(), func=lambda job: None)
        task.link("input", shared, is_input=True)
        tasks.append(task)
    assert call(Pipeline(tasks, name="p"), "status") == 0
    assert listings == [1]


def test_watching_goes_on_until_interrupted(project: Path) -> None:
    with subprocess.Popen(
        pdt_command("status", "--watch", "-n", "0.1"), cwd=project, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        first = [process.stdout.readline() for _ in TEXT.splitlines()]
        FileRepository(project / "in", extension=".txt").fullpath("new").touch()
        while process.stdout.readline() != "count.input 4\n":
            pass
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert "".join(first) == TEXT
    assert process.returncode == 130
