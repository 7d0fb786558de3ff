"""Streams of text over streams of bytes, and copying."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pdt
from pdt.task.blocking import complete
from tests.core.repository.contract import write_and_fail


class Source:
    """Bytes that come in pieces, at most `most` at a time, as from a network."""

    def __init__(self, data: bytes, most: int = 1 << 30) -> None:
        self.data = data
        self.most = most
        self.asked: list[int | None] = []
        self.closed = 0

    async def read(self, n: int | None = None, /) -> bytes:
        self.asked.append(n)
        size = len(self.data) if n is None else min(n, self.most)
        piece, self.data = self.data[:size], self.data[size:]
        return piece

    async def close(self) -> None:
        self.closed += 1

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.close()


class Sink:
    """Bytes that were written, and how the stream ended."""

    def __init__(self) -> None:
        self.data = b""
        self.largest = 0
        self.ended: str | None = None

    async def write(self, data: bytes, /) -> None:
        self.data += data
        self.largest = max(self.largest, len(data))

    async def close(self) -> None:
        self.ended = self.ended or "closed"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.ended = "closed" if kind is None else "abandoned"


TEXT = "a\u00e9\u20ac\U0001f600\r\n" * 50


def test_streams_follow_the_protocols() -> None:
    assert isinstance(Source(b""), pdt.AReadStream)
    assert isinstance(Sink(), pdt.AWriteStream)
    assert not isinstance(Sink(), pdt.AReadStream)


async def test_reading_n_characters_goes_on() -> None:
    text = pdt.AReadText(Source(b"hello world"))
    assert [await text.read(5), await text.read(5), await text.read(5), await text.read(5)] == [
        "hello",
        " worl",
        "d",
        "",
    ]


@pytest.mark.parametrize("chunksize", [1, 2, 3, 5, 7, 4096])
@pytest.mark.parametrize("n", [1, 4, 1000])
async def test_characters_are_never_split(chunksize: int, n: int) -> None:
    text = pdt.AReadText(Source(TEXT.encode(), most=3), chunksize=chunksize)
    pieces = []
    while piece := await text.read(n):
        assert len(piece) <= n
        pieces.append(piece)
    assert "".join(pieces) == TEXT
    assert all(len(piece) == n for piece in pieces[:-1])


async def test_asks_for_its_chunksize() -> None:
    source = Source(b"x" * 100)
    await pdt.AReadText(source, chunksize=7).read(10)
    assert source.asked == [7, 7]


@pytest.mark.parametrize("n", [None, -1])
async def test_the_rest_follows_what_was_read(n: int | None) -> None:
    text = pdt.AReadText(Source(TEXT.encode()), chunksize=3)
    assert await text.read(2) + await text.read(0) + await text.read(n) == TEXT
    assert await text.read(n) == await text.read(3) == ""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "utf-8-sig", "iso2022_jp", "latin-1"])
async def test_other_encodings_come_back(encoding: str) -> None:
    original = "abc" if encoding != "iso2022_jp" else "\u65e5\u672c abc \u65e5"
    sink = Sink()
    async with pdt.AWriteText(sink, encoding) as writer:
        for character in original:
            await writer.write(character)
    assert sink.data == original.encode(encoding)
    assert await pdt.AReadText(Source(sink.data), encoding).read() == original
    assert await pdt.AReadText(Source(sink.data), encoding, chunksize=1).read(2) == original[:2]


async def test_errors_of_the_encoding_are_as_asked_for() -> None:
    assert await pdt.AReadText(Source(b"a\xffb"), errors="replace").read() == "a\ufffdb"
    sink = Sink()
    await pdt.AWriteText(sink, "ascii", "backslashreplace").write("\u00e9")
    assert sink.data == rb"\xe9"
    with pytest.raises(UnicodeDecodeError):
        await pdt.AReadText(Source(b"a\xffb")).read()
    with pytest.raises(UnicodeDecodeError):
        await pdt.AReadText(Source("\u20ac".encode()[:2])).read(5)
    with pytest.raises(UnicodeEncodeError):
        await pdt.AWriteText(Sink()).write("\ud800")


async def test_closing_the_text_closes_the_stream() -> None:
    source, sink = Source(b""), Sink()
    await pdt.AReadText(source).close()
    await pdt.AWriteText(sink).close()
    assert (source.closed, sink.ended) == (1, "closed")
    async with pdt.AReadText(source), pdt.AWriteText(sink):
        pass
    assert source.closed == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
async def test_an_exception_reaches_the_stream(encoding: str) -> None:
    sink = Sink()
    with pytest.raises(ZeroDivisionError):
        await write_and_fail(pdt.AWriteText(sink, encoding), "half")
    assert sink.ended == "abandoned"


class FullAtTheEnd(Sink):
    async def write(self, data: bytes, /) -> None:
        if data == b"\x1b(B":  # what ends Japanese text
            raise OSError("no space left")
        await super().write(data)


async def test_a_failure_to_end_the_text_abandons_the_stream() -> None:
    sink = FullAtTheEnd()
    with pytest.raises(OSError, match="no space left"):
        async with pdt.AWriteText(sink, "iso2022_jp") as writer:
            await writer.write("\u65e5")
    assert sink.ended == "abandoned"


@given(st.binary(max_size=300), st.integers(1, 50), st.integers(1, 50))
def test_copies_every_byte(data: bytes, blocksize: int, most: int) -> None:
    sink = Sink()
    complete(pdt.async_copyfile(Source(data, most), sink, blocksize))
    assert sink.data == data
    assert sink.largest <= blocksize


@given(st.text(max_size=200), st.integers(1, 50), st.integers(1, 20))
def test_copies_every_character(text: str, blocksize: int, chunksize: int) -> None:
    sink = Sink()
    source = Source(text.encode("utf-8", "surrogatepass"))
    reader = pdt.AReadText(source, errors="surrogatepass", chunksize=chunksize)
    complete(pdt.async_copyfile_str(reader, pdt.AWriteText(sink, errors="surrogatepass"), blocksize))
    assert sink.data == text.encode("utf-8", "surrogatepass")


class Endless:
    """Megabytes that were never all there."""

    def __init__(self, size: int) -> None:
        self.left = size

    async def read(self, n: int | None = None, /) -> bytes:
        assert n is not None, "the whole of it was asked for"
        size = min(self.left, n)
        self.left -= size
        return bytes(size)

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: Any) -> None: ...


class Nowhere(Sink):
    async def write(self, data: bytes, /) -> None:
        self.largest += len(data)


async def test_copying_needs_little_memory_and_a_megabyte_by_default() -> None:
    size = 40 * 1024 * 1024
    binary, text = Nowhere(), Nowhere()
    tracemalloc.start()
    try:
        await pdt.async_copyfile(Endless(size), binary)
        await pdt.async_copyfile_str(pdt.AReadText(Endless(size // 8)), pdt.AWriteText(text))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (binary.largest, text.largest) == (size, size // 8)
    assert peak < 8 * 1024 * 1024


async def test_roundrobin_takes_turns() -> None:
    assert [item async for item in pdt.roundrobin("ABC", "D", "EF")] == list("ADEBFC")
    nothing: list[list[int]] = []
    assert [item async for item in pdt.roundrobin(*nothing)] == []
    assert [item async for item in pdt.roundrobin([], [1], [])] == [1]


async def test_roundrobin_takes_turns_of_asynchronous_ones_too() -> None:
    async def letters(text: str) -> AsyncIterator[str]:
        for letter in text:
            yield letter

    assert [item async for item in pdt.roundrobin(letters("ABC"), "D", letters("EF"))] == list("ADEBFC")
    assert [item async for item in pdt.roundrobin([1, 1], [1, 1])] == [1, 1, 1, 1]


def test_the_reference_names_live_in_utils() -> None:
    import pdt.utils

    assert pdt.utils.AReadText is pdt.AReadText
