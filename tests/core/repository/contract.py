"""What every repository promises, as test classes: a subclass says how to make one and how to look past it."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import pytest

from pdt import BlobRepository, InvalidJobIdError, MetadataRepository, Repository
from tests.core.repository.hostile import EDGES, HOSTILE

R = TypeVar("R", bound=Repository)

__all__ = ["BlobContract", "MetadataContract", "RepositoryContract", "write_and_fail"]


async def write_and_fail(opening: Any, data: Any) -> None:
    """Leave the block in which something is written by an exception."""
    async with opening as stream:
        await stream.write(data)
        raise ZeroDivisionError


class RepositoryContract(ABC, Generic[R]):
    """A repository that is empty at first; `put` and `stored` look past it."""

    #: Whether `delete` deletes.
    deletes = True

    @pytest.fixture
    @abstractmethod
    def repo(self, tmp_path: Any) -> R: ...

    @abstractmethod
    async def put(self, repo: R, job: str) -> None:
        """Make `job` present."""

    @abstractmethod
    def stored(self, repo: R) -> object:
        """Return everything that is stored, to be compared."""

    async def listing(self, repo: R) -> set[str]:
        """Return the jobs of `repo`, as each of its listings says."""
        jobs = {job async for job in repo}
        assert {key async for key in repo.unfiltered_iter()} == await repo.keys()
        assert {key for key in await repo.keys() if repo.is_valid_job_id(key)} == jobs
        return jobs

    async def test_is_empty_at_first(self, repo: R) -> None:
        assert await self.listing(repo) == set()
        assert dict(await repo.info_all()) == dict(await repo.items()) == {}
        assert not await repo.contains("a")
        assert await repo.present(["a", "b"]) == set()

    async def test_lists_what_is_there(self, repo: R) -> None:
        for job in EDGES:
            await self.put(repo, job)
        assert await self.listing(repo) == set(EDGES)
        assert (await repo.info_all()).keys() == set(EDGES)
        assert (await repo.items()).keys() == set(EDGES)

    async def test_contains_and_present_agree_with_the_listing(self, repo: R) -> None:
        await self.put(repo, "a")
        await self.put(repo, "a.b")
        assert [await repo.contains(job) for job in ("a", "a.b", "b", "A", "a-b")] == [True, True, False, False, False]
        assert await repo.present(["b", "a", "a", "a.b", "../a", "a\n"]) == {"a", "a.b"}

    async def test_info_all_is_the_info_of_each(self, repo: R) -> None:
        for job in ("a", "b"):
            await self.put(repo, job)
        infos = await repo.info_all()
        assert infos == {job: await repo.info(job) for job in ("a", "b")} == dict(await repo.items())

    async def test_deletes_what_is_there_and_forgives_what_is_not(self, repo: R) -> None:
        await self.put(repo, "a")
        await self.put(repo, "b")
        before = self.stored(repo)
        await repo.delete("missing")
        await repo.delete("a")
        await repo.delete("a")
        if self.deletes:
            assert await self.listing(repo) == {"b"}
            assert not await repo.contains("a")
        else:
            assert self.stored(repo) == before

    async def test_a_deleted_job_can_come_back(self, repo: R) -> None:
        await self.put(repo, "a")
        await repo.delete("a")
        await self.put(repo, "a")
        assert await repo.contains("a")

    async def test_refuses_what_is_no_job_id_and_touches_nothing(self, repo: R) -> None:
        await self.put(repo, "a")
        before = self.stored(repo)
        for job in HOSTILE:
            assert not repo.is_valid_job_id(job), job
            assert await repo.contains(job) is False, job
            assert await repo.present([job]) == set(), job
            for method in self.methods_of_a_job(repo):
                with pytest.raises(InvalidJobIdError) as caught:
                    await method(job)
                assert isinstance(caught.value, KeyError)
                assert caught.value.job is job
                assert "is not a valid job id: it" in str(caught.value)
                str(caught.value).encode()  # whatever the job was, the message can be printed
        assert self.stored(repo) == before

    def methods_of_a_job(self, repo: R) -> list[Any]:
        return [repo.info, repo.delete]

    async def test_validates(self, repo: R) -> None:
        await repo.validate()

    async def test_changes_its_stamp_if_it_has_one(self, repo: R) -> None:
        before = repo.stamp()
        await self.put(repo, "a")
        after = repo.stamp()
        assert after is None or after != before

    async def test_can_be_used_after_release(self, repo: R) -> None:
        await self.put(repo, "a")
        repo.release()
        repo.release()
        assert await repo.contains("a")

    async def test_many_use_it_at_once(self, repo: R) -> None:
        jobs = [f"j{number}" for number in range(50)]
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(self.put(repo, job))
        assert await self.listing(repo) == set(jobs)

    def test_has_a_repr_that_names_its_class(self, repo: R) -> None:
        public = next(kind for kind in type(repo).__mro__ if not kind.__name__.startswith("_"))
        assert repr(repo).startswith(f"{public.__name__}(")


class BlobContract(RepositoryContract[R]):
    """A repository of streams."""

    async def put(self, repo: R, job: str) -> None:
        async with self.blobs(repo).open(job, "wb") as stream:
            await stream.write(b"content of " + job.encode())

    @staticmethod
    def blobs(repo: R) -> BlobRepository:
        assert isinstance(repo, BlobRepository)
        return repo

    async def content(self, repo: R, job: str) -> bytes:
        async with self.blobs(repo).open(job, "rb") as stream:
            return await stream.read()

    def methods_of_a_job(self, repo: R) -> list[Any]:
        blobs = self.blobs(repo)

        async def write(job: str) -> None:
            async with blobs.open(job, "w") as stream:
                await stream.write("x")

        async def read(job: str) -> None:
            async with blobs.open(job) as stream:
                await stream.read()

        return [*super().methods_of_a_job(repo), write, read]

    async def test_bytes_come_back(self, repo: R) -> None:
        data = bytes(range(256)) * 3
        async with self.blobs(repo).open("a", "wb") as stream:
            await stream.write(data[:100])
            rest: Any = memoryview(data)[100:]  # any buffer will do
            await stream.write(rest)
        assert await self.content(repo, "a") == data

    async def test_text_comes_back_as_utf_8(self, repo: R) -> None:
        async with self.blobs(repo).open("a", "w") as stream:
            await stream.write("na\u00efve\r\n")
            await stream.write("\U0001f600")
        assert await self.content(repo, "a") == "na\u00efve\r\n\U0001f600".encode()
        async with self.blobs(repo).open("a") as text:
            assert await text.read() == "na\u00efve\r\n\U0001f600"
        async with self.blobs(repo).open("a", "r") as text:
            assert [await text.read(4), await text.read(1), await text.read(99)] == ["na\u00efv", "e", "\r\n\U0001f600"]

    async def test_opens_with_and_without_await(self, repo: R) -> None:
        async with await self.blobs(repo).open("a", "w") as stream:
            await stream.write("x")
        async with await self.blobs(repo).open("a", "rb") as binary:
            assert await binary.read() == b"x"
        plain = await self.blobs(repo).open("b", "wb")
        await plain.write(b"y")
        await plain.close()
        await plain.close()
        assert await self.content(repo, "b") == b"y"

    async def test_reads_in_pieces_and_honestly(self, repo: R) -> None:
        async with self.blobs(repo).open("a", "wb") as stream:
            await stream.write(b"0123456789")
        async with self.blobs(repo).open("a", "rb") as reader:
            assert await reader.read(0) == b""
            assert [await reader.read(3), await reader.read(4), await reader.read()] == [b"012", b"3456", b"789"]
            assert [await reader.read(), await reader.read(1), await reader.read(None)] == [b"", b"", b""]

    async def test_nothing_written_is_an_empty_blob(self, repo: R) -> None:
        async with self.blobs(repo).open("a", "w") as stream:
            await stream.write("")
        async with self.blobs(repo).open("b", "wb"):
            pass
        assert await self.listing(repo) == {"a", "b"}
        assert await self.content(repo, "a") == await self.content(repo, "b") == b""

    async def test_a_shorter_rewrite_leaves_nothing_of_the_old(self, repo: R) -> None:
        for data in (b"a long first version", b"short"):
            async with self.blobs(repo).open("a", "wb") as stream:
                await stream.write(data)
        assert await self.content(repo, "a") == b"short"

    async def test_what_is_being_written_is_not_there_yet(self, repo: R) -> None:
        async with self.blobs(repo).open("a", "wb") as stream:
            await stream.write(b"half")
            assert await self.listing(repo) == set()
            assert not await repo.contains("a")
        assert await repo.contains("a")

    async def test_a_reader_sees_the_old_content_until_the_new_is_complete(self, repo: R) -> None:
        await self.put(repo, "a")
        async with self.blobs(repo).open("a", "rb") as reader, self.blobs(repo).open("a", "wb") as writer:
            await writer.write(b"new")
            assert await self.content(repo, "a") == b"content of a"
            await writer.close()
            assert await self.content(repo, "a") == b"new"
            assert await reader.read() == b"content of a"

    @pytest.mark.parametrize("size", [10, 3_000_000])
    async def test_an_exception_leaves_the_old_content(self, repo: R, size: int) -> None:
        await self.put(repo, "a")
        before = self.stored(repo)
        for job in ("a", "new"):
            with pytest.raises(ZeroDivisionError):
                await write_and_fail(self.blobs(repo).open(job, "wb"), bytes(size))
        assert self.stored(repo) == before

    @pytest.mark.parametrize("size", [10, 3_000_000])
    async def test_cancellation_leaves_the_old_content(self, repo: R, size: int) -> None:
        await self.put(repo, "a")
        before = self.stored(repo)
        written = asyncio.Event()

        async def write() -> None:
            async with self.blobs(repo).open("a", "w") as stream:
                await stream.write("x" * size)
                written.set()
                await asyncio.sleep(3600)

        task = asyncio.get_running_loop().create_task(write())
        await written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert self.stored(repo) == before

    async def test_the_last_of_two_writers_wins_whole(self, repo: R) -> None:
        async with self.blobs(repo).open("a", "wb") as first, self.blobs(repo).open("a", "wb") as second:
            await first.write(b"first")
            await second.write(b"2nd")
            await second.close()
            assert await self.content(repo, "a") == b"2nd"
        assert await self.content(repo, "a") == b"first"

    async def test_a_missing_blob_cannot_be_read(self, repo: R) -> None:
        modes: list[Any] = ["r", "rb"]
        for mode in modes:
            with pytest.raises((FileNotFoundError, KeyError)) as caught:
                await self.blobs(repo).open("missing", mode)
            assert "missing" in str(caught.value)
        assert not await repo.contains("missing")

    @pytest.mark.parametrize("mode", ["", "a", "x", "w+", "br", "rw", None, 5, ["r"]], ids=repr)
    async def test_refuses_other_modes(self, repo: R, mode: Any) -> None:
        with pytest.raises(ValueError, match="none of 'r', 'rb', 'w', 'wb'"):
            await self.blobs(repo).open("a", mode)
        assert not await repo.contains("a")

    async def test_a_closed_stream_takes_and_gives_nothing(self, repo: R) -> None:
        writer = await self.blobs(repo).open("a", "wb")
        await writer.close()
        with pytest.raises(ValueError, match="closed"):
            await writer.write(b"x")
        reader = await self.blobs(repo).open("a", "rb")
        await reader.close()
        await reader.close()
        with pytest.raises(ValueError, match="closed"):
            await reader.read()

    async def test_bytes_are_not_text(self, repo: R) -> None:
        for mode, data in (("wb", "text"), ("wb", 5), ("w", b"bytes")):
            with pytest.raises((TypeError, AttributeError)):
                await write_and_fail(self.blobs(repo).open("a", mode), data)  # type: ignore[call-overload]
        assert not await repo.contains("a")

    async def test_megabytes_come_back(self, repo: R) -> None:
        piece = bytes(range(256)) * 1024
        async with self.blobs(repo).open("a", "wb") as stream:
            for _ in range(12):
                await stream.write(piece)
            await stream.write(b"end")
        async with self.blobs(repo).open("a", "rb") as reader:
            pieces = [await reader.read(2_000_000), await reader.read(1), await reader.read()]
        assert [len(each) for each in pieces] == [2_000_000, 1, 12 * len(piece) + 3 - 2_000_001]
        assert b"".join(pieces) == piece * 12 + b"end"


class MetadataContract(RepositoryContract[R]):
    """A repository of structured values."""

    async def put(self, repo: R, job: str) -> None:
        await self.records(repo).dump(job, {"job": job})

    @staticmethod
    def records(repo: R) -> MetadataRepository:
        assert isinstance(repo, MetadataRepository)
        return repo

    def methods_of_a_job(self, repo: R) -> list[Any]:
        async def dump(job: str) -> None:
            await self.records(repo).dump(job, {"x": 1})

        async def dump_all(job: Any) -> None:
            if isinstance(job, list):  # it cannot be a key of a mapping
                raise InvalidJobIdError(job, "it is a list")
            await self.records(repo).dump_all({"fine": {}, job: {"x": 1}})

        return [*super().methods_of_a_job(repo), dump, dump_all]

    async def test_values_come_back(self, repo: R) -> None:
        values: list[Any] = [{"a": [1, {"b": None}]}, [], "text", 5, 1.5, True, None, {}, {"$pdt": 1}, "", "yes", "1e5"]
        for value in values:
            await self.records(repo).dump("a", value)
            assert await repo.info("a") == value
            assert type(await repo.info("a")) is type(value)
        assert await self.listing(repo) == {"a"}

    async def test_a_new_value_replaces_the_old_one(self, repo: R) -> None:
        await self.records(repo).dump("a", {"old": "x" * 100})
        await self.records(repo).dump("a", {"new": 1})
        assert await repo.info("a") == {"new": 1}

    async def test_info_of_a_missing_job_is_an_empty_mapping(self, repo: R) -> None:
        assert await repo.info("missing") == {}
        assert not await repo.contains("missing")

    async def test_many_records_at_once(self, repo: R) -> None:
        await self.records(repo).dump("b", "old")
        await self.records(repo).dump_all({})
        await self.records(repo).dump_all({"a": {"n": 1}, "b": {"n": [2]}, "c": {"n": 3.5}})
        assert await repo.info_all() == {"a": {"n": 1}, "b": {"n": [2]}, "c": {"n": 3.5}}

    async def test_what_is_skipped_is_said_once(self, repo: R, caplog: pytest.LogCaptureFixture) -> None:
        await self.put(repo, "a")
        with caplog.at_level(logging.DEBUG, "pdt.repository"):
            await self.listing(repo)
        assert caplog.records == []
