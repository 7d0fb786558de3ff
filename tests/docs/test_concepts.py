"""The tables of the concepts page say what the code does."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Awaitable, Iterator
from pathlib import Path

import pytest

import pdt
from pdt.cli import exits

PAGE = Path(__file__).parents[2] / "docs" / "concepts.md"


TABLE = re.compile(r"^\|.*\|\n\|[-|:]+\|\n(?:\|.*\|\n)+", re.MULTILINE)


def tables() -> dict[str, list[list[str]]]:
    """Return the tables of the page, each by its first heading, as rows of cells without markup."""
    found: dict[str, list[list[str]]] = {}
    for match in TABLE.finditer(PAGE.read_text(encoding="utf-8")):
        lines = [line.strip("|").split("|") for line in match[0].replace("`", "").splitlines()]
        head, _, *rows = [[cell.strip() for cell in line] for line in lines]
        found[head[0]] = found.get(head[0], []) + rows
    return found


def names_in(table: str) -> set[str]:
    """Return what the first column of a table names."""
    return {name.strip() for row in tables()[table] for name in row[0].split(",")}


def errors_below(kind: type[pdt.PdtError]) -> Iterator[type[pdt.PdtError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from errors_below(below)


def test_every_verdict_is_there() -> None:
    assert names_in("Verdict") == {kind.value for kind in pdt.VerdictKind}


def test_every_disposition_is_there() -> None:
    assert names_in("Disposition") == {field.name for field in dataclasses.fields(pdt.Link)} - {"repo"}


def test_every_exit_code_is_there() -> None:
    codes = {int(code) for code in names_in("Code")}
    of_commands = {value for name, value in vars(exits).items() if name.isupper()}
    assert codes == of_commands | {kind.exit_code for kind in errors_below(pdt.PdtError)}


async def test_every_key_of_a_record_is_there() -> None:
    done = pdt.InProcessMetadataRepository()
    task = pdt.InProcessSyncTask("task", done=done)
    task.link("jobs", pdt.InProcessMetadataRepository({"good": {}, "bad": {}}), is_input=True)

    @task
    async def body(job: str) -> None:
        if job == "bad":
            raise ValueError(job)

    async with pdt.Pipeline([task]) as pipeline:
        await pipeline.run()
    assert names_in("Key") == done.data["good"].keys() | done.data["bad"].keys()
    assert done.data["good"]["reason"] == "success"
    assert done.data["bad"]["reason"] == "exception"


def absent(directory: Path) -> dict[str, pdt.Repository]:
    """Return an empty repository of each kind."""
    nothing = pdt.InProcessMetadataRepository()
    blobs = pdt.InProcessBlobRepository()
    return {
        "FileRepository": pdt.FileRepository(directory),
        "DirectoryRepository": pdt.DirectoryRepository(directory),
        "YamlMetadataFileRepository": pdt.YamlMetadataFileRepository(directory),
        "SqliteMetadataRepository": pdt.SqliteMetadataRepository(directory / "records.sqlite", "name"),
        "InProcessBlobRepository": blobs,
        "InProcessMetadataRepository": nothing,
        "RelatedItemRepository, no translation": pdt.RelatedItemRepository(blobs, nothing),
        "GroupRepository": pdt.GroupRepository(nothing, by=nothing),
    }


async def outcome(question: Awaitable[object], path: Path) -> str:
    """Return what a question is answered with, as the table says it."""
    try:
        result = await question
    except Exception as error:
        return type(error).__name__
    return "the path" if isinstance(result, str) and Path(result).is_relative_to(path) else repr(result)


async def test_what_an_absent_key_does(tmp_path: Path) -> None:
    rows = [row for row in tables()["Repository"] if len(row) == 5]
    repositories = absent(tmp_path)
    assert [row[0] for row in rows] == list(repositories)
    for name, contains, info, opened, delete in rows:
        repo = repositories[name]
        assert await outcome(repo.contains("job"), tmp_path) == contains, name
        assert await outcome(repo.info("job"), tmp_path) == info, name
        assert isinstance(repo, pdt.BlobRepository) == bool(opened), name
        if isinstance(repo, pdt.BlobRepository):
            assert await outcome(repo.open("job"), tmp_path) == opened, name
        assert delete == "nothing"
        await repo.delete("job")


@pytest.mark.parametrize("job", ["", "../x", "a" * 64, "a\n", "a\0b", "-a", "a.", "é"])
async def test_what_is_no_job_id_is_refused(job: str, tmp_path: Path) -> None:
    for name, repo in absent(tmp_path).items():
        if "Group" in name or "Related" in name:
            continue
        assert not await repo.contains(job)
        assert await repo.present([job]) == set()
        with pytest.raises(pdt.InvalidJobIdError):
            await repo.info(job)
        with pytest.raises(pdt.InvalidJobIdError):
            await repo.delete(job)
