"""Repositories that live in this process and vanish with it."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Collection, Mapping, Set
from types import TracebackType
from typing import Any, Self

from ..streams import AReadText, AWriteText
from .base import BlobRepository, MetadataRepository, Mode, Opening, Repository, check_mode

__all__ = ["InProcessBlobRepository", "InProcessBlobStream", "InProcessMetadataRepository"]


class _InProcessRepository(Repository):
    """What both kinds share: keys of a dict that anyone may look into.

    :param data: the dict that holds the values; used as it is, not copied.
    """

    inline = True
    shared = False

    def __init__(self, data: dict[str, Any] | None = None) -> None:
        self.data: dict[str, Any] = {} if data is None else data

    async def contains(self, item: str) -> bool:
        """Tell whether the job is there."""
        return self.job_ids.accepts(item) and item in self.data

    async def present(self, jobs: Collection[str]) -> set[str]:
        """Return those of `jobs` that are there."""
        accepts = self.job_ids.accepts
        return {job for job in jobs if accepts(job) and job in self.data}

    async def keys(self) -> Set[str]:
        """Return every key."""
        return set(self.data)

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        """Yield every key."""
        for key in list(self.data):
            yield key

    async def delete(self, job: str) -> None:
        """Remove the job; nothing happens if it is absent."""
        self.data.pop(self.job_ids.check(job), None)

    def __reduce__(self) -> Any:
        raise TypeError(
            f"{self!r} lives in this process only, so another process cannot use it.\n"
            "fix: link a repository on disk (for example FileRepository or SqliteMetadataRepository) instead"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.data)} jobs)"


class InProcessMetadataRepository(_InProcessRepository, MetadataRepository):
    """Structured values in a dict.

    :param data: the dict that holds them; used as it is, not copied.
    """

    async def info(self, job: str) -> Any:
        """Return the value of `job`, or {}."""
        return self.data.get(self.job_ids.check(job), {})

    async def info_all(self) -> dict[str, Any]:
        """Return every job's value."""
        return {job: self.data[job] async for job in self}

    async def dump(self, job: str, data: Any) -> None:
        """Store `data` for `job`."""
        self.data[self.job_ids.check(job)] = data

    async def dump_all(self, records: Mapping[str, Any]) -> None:
        """Store many records."""
        for job in records:
            self.job_ids.check(job)
        self.data.update(records)


class InProcessBlobStream:
    """The stream of one job; made by InProcessBlobRepository.open.

    :param repo: the repository.
    :param job: the job.
    :param mode: rb or wb.
    """

    def __init__(self, repo: InProcessBlobRepository, job: str, mode: str = "rb") -> None:
        self.repo = repo
        self.job = job
        self._writes = mode == "wb"
        self._buffer = io.BytesIO(b"" if self._writes else repo.data[job])

    async def read(self, n: int | None = None) -> bytes:
        """Return up to `n` bytes, or the rest of the stream.

        :raises io.UnsupportedOperation: if the stream was opened for writing.
        """
        if self._writes:
            raise io.UnsupportedOperation(f"{self.job!r} was opened for writing")
        return self._buffer.read(n)

    async def write(self, data: bytes) -> None:
        """Write all of `data`.

        :raises io.UnsupportedOperation: if the stream was opened for reading.
        """
        if not self._writes:
            raise io.UnsupportedOperation(f"{self.job!r} was opened for reading")
        self._buffer.write(data)

    async def close(self) -> None:
        """Close the stream; what was written becomes the job's value now."""
        if not self._buffer.closed:
            if self._writes:
                self.repo.data[self.job] = self._buffer.getvalue()
            self._buffer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._buffer.close()
        await self.close()


class InProcessBlobRepository(_InProcessRepository, BlobRepository):
    """Flat data in a dict.

    :param data: the dict that holds it; used as it is, not copied.
    """

    async def info(self, job: str) -> None:
        """Return None: a template can do nothing with such a blob."""
        self.job_ids.check(job)

    def open(self, job: str, mode: Mode = "r") -> Opening[Any]:
        """Open the job's value.

        :raises InvalidJobIdError: if `job` is not a valid job id.
        :raises ValueError: if `mode` is none of r, rb, w, wb.
        :raises KeyError: if it is opened for reading and absent.
        """
        check_mode(mode)
        self.job_ids.check(job)

        async def open_stream() -> Any:
            stream = InProcessBlobStream(self, job, mode[0] + "b")
            if len(mode) == 2:
                return stream
            return AReadText(stream) if mode == "r" else AWriteText(stream)

        return Opening(open_stream)
