"""Repositories in this process."""

from __future__ import annotations

import io
import logging
import pickle
from typing import Any

import pytest

import pdt

KINDS = [pdt.InProcessMetadataRepository, pdt.InProcessBlobRepository]


@pytest.mark.parametrize("kind", KINDS)
async def test_data_is_the_live_dict(kind: type[Any]) -> None:
    data: dict[str, Any] = {}
    repo = kind(data)
    assert repo.data is data
    data["a"] = b"x"
    assert await repo.contains("a")
    await repo.delete("a")
    assert data == {}
    assert kind(data=None).data == kind().data == {}
    assert kind().data is not kind().data


@pytest.mark.parametrize("kind", KINDS)
async def test_keys_that_somebody_put_there_are_filtered(kind: type[Any], caplog: pytest.LogCaptureFixture) -> None:
    repo = kind({"a": b"1", "../x": b"2", 5: b"3", None: b"4"})
    assert [job async for job in repo] == ["a"]
    assert (await repo.info_all()).keys() == {"a"}
    assert not await repo.contains("../x")
    assert await repo.present(["a", "../x"]) == {"a"}
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_cannot_be_sent_to_another_process(kind: type[Any]) -> None:
    with pytest.raises(TypeError, match=r"lives in this process only.*\nfix: link a repository on disk"):
        pickle.dumps(kind())
    assert (kind().inline, kind().shared) == (True, False)


@pytest.mark.parametrize("kind", KINDS)
async def test_listing_while_it_changes(kind: type[Any]) -> None:
    repo = kind({f"j{number}": b"" for number in range(10)})
    seen = []
    async for job in repo:
        seen.append(job)
        await repo.delete(job)
    assert len(seen) == 10


async def test_values_are_kept_as_they_are() -> None:
    value = object()
    repo = pdt.InProcessMetadataRepository()
    await repo.dump("a", value)
    assert await repo.info("a") is value
    assert repo.data == {"a": value}


async def test_a_blob_has_nothing_for_a_template() -> None:
    repo = pdt.InProcessBlobRepository({"a": b"x"})
    info: Any = repo.info("a")
    assert await info is None
    assert await repo.info_all() == {"a": None}


async def test_a_stream_made_by_hand_reads() -> None:
    repo = pdt.InProcessBlobRepository({"a": b"abc"})
    stream = pdt.InProcessBlobStream(repo, "a")
    assert (stream.repo, stream.job) == (repo, "a")
    assert [await stream.read(2), await stream.read()] == [b"ab", b"c"]
    with pytest.raises(io.UnsupportedOperation, match="'a' was opened for reading"):
        await stream.write(b"x")
    await stream.close()
    assert repo.data == {"a": b"abc"}


async def test_a_stream_for_writing_gives_nothing() -> None:
    repo = pdt.InProcessBlobRepository({"a": b"abc"})
    async with repo.open("a", "wb") as stream:
        with pytest.raises(io.UnsupportedOperation, match="'a' was opened for writing"):
            await stream.read()
        await stream.write(b"x")
    assert repo.data == {"a": b"x"}


async def test_reading_leaves_what_others_wrote_meanwhile() -> None:
    repo = pdt.InProcessBlobRepository({"a": b"old"})
    async with repo.open("a") as stream:
        repo.data["a"] = b"new"
        assert await stream.read() == "old"
    assert repo.data["a"] == b"new"
