"""`pdt trace`: which of some jobs each link has."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Collection

import pytest

from pdt import InProcessMetadataRepository, InProcessSyncTask, Pipeline, Repository, print_trace
from pdt.cli.oserrors import OTHERWISE
from tests.core.cli.support import call

TEXT = """\
count
count.input d a
count.done d a
count.counts a

make-report
make-report.counts a
make-report.done a
make-report.out a

"""


@pytest.fixture
def ran(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> Pipeline:
    """Return the pipeline after a run."""
    assert call(pipeline, "run") == 1
    capsys.readouterr()
    return pipeline


def test_the_text_is_the_references(ran: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(ran, "trace", "d", "a") == 0
    assert capsys.readouterr() == (TEXT, "")


async def test_print_trace_prints_it_too(ran: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    async with ran:
        await print_trace(ran, False, ["d", "a"])
    assert capsys.readouterr().out == TEXT


def test_globs_and_formats(ran: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(ran, "trace", "[ab]", "-a", "-o", "json") == 0
    rows = json.loads(capsys.readouterr().out)
    found = {row["name"]: row["jobs"] for row in rows}
    assert found["count.input"] == ["a", "b"]
    assert found["make-report.count_done"] == ["a", "b"]


def test_names_are_those_of_the_links_that_have_a_job(ran: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(ran, "trace", "d", "-o", "name") == 0
    assert capsys.readouterr() == ("count.input\ncount.done\n", "")


def test_an_unknown_job_is_guessed(ran: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    (ran.tasks["make-report"].links["done"].repo).data["report-1"] = {}  # type: ignore[attr-defined]
    assert call(ran, "trace", "reprot-1", "a") == 3
    captured = capsys.readouterr()
    assert "count.input a\n" in captured.out
    assert captured.err == (
        "error: there is no job 'reprot-1' in any link of this pipeline\nfix: did you mean report-1?\n"
    )


class Listed(Repository):
    """A minimal repository of a stranger's, which has nothing but its listing."""

    def __init__(self, keys: Collection[str]) -> None:
        self.jobs = keys
        self.listings = 0

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        self.listings += 1
        for job in self.jobs:
            yield job

    async def info(self, job: str) -> None: ...

    async def delete(self, job: str) -> None: ...


def one_task(repo: Repository) -> Pipeline:
    task = InProcessSyncTask("t", InProcessMetadataRepository(), func=lambda job: None)
    task.link("input", repo, is_input=True)
    return Pipeline([task], name="p")


def test_a_repository_is_not_listed_for_each_job(capsys: pytest.CaptureFixture[str]) -> None:
    repo = Listed(["a", "b", "c"])
    assert call(one_task(repo), "trace", "c", "b", "a") == 0
    assert "t.input c b a\n" in capsys.readouterr().out
    assert repo.listings == 1


class Broken(InProcessMetadataRepository):
    async def present(self, jobs: Collection[str]) -> set[str]:
        raise ConnectionError("no route to host")


def test_a_link_that_cannot_be_asked_takes_no_other_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(one_task(Broken()), "trace", "a") == 5
    captured = capsys.readouterr()
    assert captured.out == "t\nt.input ?\nt.done \n\n"
    assert captured.err == (
        f"error: Broken(0 jobs) could not be asked: ConnectionError: no route to host\nfix: {OTHERWISE}\n"
    )
