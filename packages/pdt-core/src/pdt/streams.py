"""Asynchronous streams of bytes and text, and how to copy them."""

from __future__ import annotations

import codecs
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from types import TracebackType
from typing import Protocol, Self, TypeVar, runtime_checkable

__all__ = [
    "AReadStream",
    "AReadText",
    "AWriteStream",
    "AWriteText",
    "async_copyfile",
    "async_copyfile_str",
    "roundrobin",
]

T = TypeVar("T")


@runtime_checkable
class AReadStream(Protocol):
    """A stream of bytes that can be read."""

    async def read(self, n: int | None = None, /) -> bytes:
        """Return up to `n` bytes, or the rest of the stream; b"" at its end."""
        ...

    async def close(self) -> None:
        """Close and release the stream."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None: ...


@runtime_checkable
class AWriteStream(Protocol):
    """A stream of bytes that can be written; leaving its block by an exception abandons what was written."""

    async def write(self, data: bytes, /) -> object:
        """Write all of `data`."""
        ...

    async def close(self) -> None:
        """Close the stream; what was written becomes visible now, all at once."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None: ...


class AReadText:
    """Text decoded from a stream of bytes; like `io.TextIOWrapper`, for reading, without newline translation.

    :param base: the stream of bytes; closed with this one.
    :param chunksize: how many bytes are asked of `base` at a time.
    """

    def __init__(
        self, base: AReadStream, encoding: str = "utf-8", errors: str = "strict", chunksize: int = 4096
    ) -> None:
        self.base = base
        self._encoding = encoding
        self._errors = errors
        self._decoder: codecs.IncrementalDecoder | None = None
        self._chunksize = chunksize
        self._pending: list[str] = []
        self._ended = False

    async def read(self, n: int | None = None) -> str:
        """Return up to `n` characters, or the rest of the text; "" at its end."""
        if self._decoder is None:
            if n is None or n < 0:
                return (await self.base.read()).decode(self._encoding, self._errors)
            self._decoder = codecs.getincrementaldecoder(self._encoding)(self._errors)
        if n is None or n < 0:
            if not self._ended:
                self._pending.append(self._decoder.decode(await self.base.read(), final=True))
                self._ended = True
            text, self._pending = "".join(self._pending), []
            return text
        size = sum(map(len, self._pending))
        while size < n and not self._ended:
            data = await self.base.read(self._chunksize)
            self._ended = not data
            self._pending.append(self._decoder.decode(data, final=self._ended))
            size += len(self._pending[-1])
        text = "".join(self._pending)
        self._pending = [text[n:]]
        return text[:n]

    async def close(self) -> None:
        """Close and release the stream."""
        await self.base.close()

    async def __aenter__(self) -> Self:
        await self.base.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self.base.__aexit__(kind, error, trace)


class AWriteText:
    """Text encoded into a stream of bytes.

    :param base: the stream of bytes; closed with this one.
    """

    def __init__(self, base: AWriteStream, encoding: str = "utf-8", errors: str = "strict") -> None:
        self.base = base
        self._encoding = encoding
        self._errors = errors
        #: What remembers the state of an encoding that has one; UTF-8 has none.
        self._encoder = None if encoding == "utf-8" else codecs.getincrementalencoder(encoding)(errors)
        self._written = False

    async def write(self, data: str) -> None:
        """Write all of `data`."""
        if self._encoder is None:
            await self.base.write(data.encode(self._encoding, self._errors))
        else:
            await self.base.write(self._encoder.encode(data))
            self._written = True

    async def _finish(self) -> None:
        """Write what ends the text in an encoding that has a state."""
        if self._written and self._encoder is not None:
            self._written = False
            if end := self._encoder.encode("", True):
                await self.base.write(end)

    async def close(self) -> None:
        """Close the stream; what was written becomes visible now, all at once."""
        if self._written:
            await self._finish()
        await self.base.close()

    async def __aenter__(self) -> Self:
        await self.base.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if kind is None and self._written:
            try:
                await self._finish()
            except BaseException as failure:
                await self.base.__aexit__(type(failure), failure, failure.__traceback__)
                raise
        return await self.base.__aexit__(kind, error, trace)


async def async_copyfile(copyfrom: AReadStream, copyto: AWriteStream, blocksize: int = 1024 * 1024) -> None:
    """Copy the rest of `copyfrom` to `copyto`, at most `blocksize` bytes in memory at a time."""
    while block := await copyfrom.read(blocksize):
        await copyto.write(block)


async def async_copyfile_str(copyfrom: AReadText, copyto: AWriteText, blocksize: int = 1024 * 1024) -> None:
    """Copy the rest of `copyfrom` to `copyto`, at most `blocksize` characters in memory at a time."""
    while block := await copyfrom.read(blocksize):
        await copyto.write(block)


async def roundrobin(*iterables: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    """Yield from each of `iterables` in turn until all are exhausted: 'ABC', 'D', 'EF' -> A D E B F C."""
    waiting = [aiter(each if isinstance(each, AsyncIterable) else _one_by_one(each)) for each in iterables]
    while waiting:
        for iterator in list(waiting):
            try:
                yield await anext(iterator)
            except StopAsyncIteration:
                waiting.remove(iterator)


async def _one_by_one(iterable: Iterable[T]) -> AsyncIterator[T]:
    for item in iterable:
        yield item
