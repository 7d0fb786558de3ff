"""What a repository of a stranger's gets from the base classes, and what it has to write."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from typing import Any

import pytest

import pdt
from pdt.repository import Opening
from tests.core.repository.contract import write_and_fail


class Listed(pdt.Repository):
    """The least that a repository can be."""

    def __init__(self, keys: list[Any]) -> None:
        self.given = keys
        self.deleted: list[str] = []

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        for key in self.given:
            yield key

    async def info(self, job: str) -> Any:
        if job == "broken":
            raise pdt.CorruptRecordError("a store", job, "it is broken")
        return f"info of {job}"

    async def delete(self, job: str) -> None:
        self.deleted.append(job)


@pytest.mark.parametrize("missing", ["unfiltered_iter", "info", "delete"])
def test_three_methods_have_to_be_written(missing: str) -> None:
    methods = {name: getattr(Listed, name) for name in ("unfiltered_iter", "info", "delete") if name != missing}
    with pytest.raises(TypeError, match=f"abstract method '?{missing}"):
        type("Incomplete", (pdt.Repository,), methods)()


async def test_the_rest_follows_from_them() -> None:
    repo = Listed(["a", "b", "b"])
    assert [job async for job in repo] == ["a", "b", "b"]
    assert await repo.keys() == {"a", "b"}
    assert await repo.contains("a")
    assert not await repo.contains("c")
    assert await repo.present(["a", "c", "../a"]) == {"a"}
    assert await repo.info_all() == await repo.items() == {"a": "info of a", "b": "info of b"}
    await repo.validate()
    repo.release()
    assert (repo.stamp(), repo.durable_path(), repo.children, repo.inline, repo.shared) == (None, None, (), False, True)
    assert await repo.narrow({"a"}) == {"a"}
    assert repr(repo) == "Listed()"
    with pytest.raises(NotImplementedError, match="Listed has children but no combine"):
        repo.combine([])


async def test_one_broken_record_does_not_hide_the_others() -> None:
    repo = Listed(["a", "broken", "c"])
    items = await repo.items()
    assert (items["a"], items["c"]) == ("info of a", "info of c")
    assert isinstance(items["broken"], pdt.CorruptRecordError)
    with pytest.raises(pdt.CorruptRecordError):
        await repo.info_all()


async def test_keys_that_are_no_job_ids_are_skipped_with_a_warning_for_each(caplog: pytest.LogCaptureFixture) -> None:
    repo = Listed(["a", "../x", "a b", "\udcff", "x" * 10_000, "\x1b[31mred", "../x"])
    for _ in range(3):
        assert [job async for job in repo] == ["a"]
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 5
    assert all("valid job" in message for message in messages)
    assert messages[0].startswith("Skipping '../x' in Listed() - not a valid job id: it contains '/'; allowed are")
    assert all(len(message) < 500 and message.isascii() and message.isprintable() for message in messages)
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert {record.name for record in caplog.records} == {"pdt.repository"}


async def test_a_directory_full_of_junk_does_not_fill_memory_or_log(caplog: pytest.LogCaptureFixture) -> None:
    repo = Listed([f"junk {number}" for number in range(5000)])
    for _ in range(2):
        assert [job async for job in repo] == []
    assert len(caplog.records) == 1000


async def test_filter_jobs_filters_any_listing() -> None:
    repo = Listed([])
    assert [job async for job in repo.filter_jobs(Listed(["a", "b c", "d"]).unfiltered_iter())] == ["a", "d"]


class AsyncOpen(Listed, pdt.BlobRepository):
    """A blob repository whose open is a coroutine function, as in the reference."""

    @pdt.job_getter
    async def open(self, job: str, mode: Any = "r") -> Any:  # type: ignore[override]
        """Open it."""
        return await pdt.InProcessBlobRepository({job: b"content"}).open(job, mode)


async def test_open_may_be_a_coroutine_function() -> None:
    repo: pdt.BlobRepository = AsyncOpen([])
    async with repo.open("a") as stream:
        assert await stream.read() == "content"
    async with await repo.open("a", "rb") as binary:
        assert await binary.read() == b"content"
    assert isinstance(repo.open("a", mode="r"), Opening)
    assert AsyncOpen.open.__doc__ == "Open it."


async def test_opening_hands_exceptions_to_the_stream() -> None:
    repo = pdt.InProcessBlobRepository()
    with pytest.raises(ZeroDivisionError):
        await write_and_fail(Opening[Any](lambda: repo.open("a", "w")), "x")
    assert repo.data == {}


class Records(Listed, pdt.MetadataRepository):
    def __init__(self) -> None:
        super().__init__([])
        self.data: dict[str, Any] = {}

    async def dump(self, job: str, data: Any) -> None:
        self.data[job] = data


async def test_many_records_are_dumped_one_by_one_unless_there_is_a_better_way() -> None:
    repo = Records()
    await repo.dump_all({"a": 1, "b": 2})
    assert repo.data == {"a": 1, "b": 2}
    with pytest.raises(pdt.InvalidJobIdError):
        await repo.dump_all({"c": 3, "../d": 4})
    assert repo.data == {"a": 1, "b": 2}


def test_each_repository_is_itself() -> None:
    one, other = Listed(["a"]), Listed(["a"])
    assert one != other
    assert len({one, other, one}) == 2
