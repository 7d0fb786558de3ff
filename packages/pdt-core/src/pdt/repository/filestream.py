"""Streams of local files: read as they are, replaced as a whole."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Generator
from threading import Lock
from types import TracebackType
from typing import Any, Self

from ..errors import BackendError
from ..localfs import Draft, in_thread, open_regular, put_bytes, read_rest
from ..streams import AReadText, AWriteText

__all__ = ["FileReader", "FileTextReader", "FileTextWriter", "FileWriter"]

#: Bytes up to which a file is read when it is opened.
SMALL = 64 * 1024
#: Bytes up to which reads and writes of a local file happen on the event loop, and writes are kept in memory.
INLINE_BYTES = 1024 * 1024


class FileReader:
    """A file read as a stream of bytes; opened when it is awaited or entered.

    :param path: the file.
    :param inline: whether it lies on a local file system.
    """

    __slots__ = ("_content", "_descriptor", "_inline", "_size", "path")

    def __init__(self, path: str, inline: bool) -> None:
        self.path = path
        self._inline = inline
        self._descriptor = -1
        self._size = 0
        #: What is left of a small file, which is read when it is opened; None for a large one.
        self._content: io.BytesIO | None = None

    async def open(self) -> Self:
        """Open the file, unless it is open."""
        if self._content is None and self._descriptor < 0:
            if self._inline:
                self._load()
            else:
                await in_thread(self._load)
        return self

    def _load(self) -> None:
        descriptor, size = open_regular(self.path)
        self._size = size
        try:
            if size > SMALL:
                self._descriptor, descriptor = descriptor, -1
                return
            content = os.read(descriptor, size + 1)
            if len(content) != size:  # it is being written to, or is made by the system as it is read
                content += read_rest(descriptor)
            self._content = io.BytesIO(content)
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    async def read(self, n: int | None = None) -> bytes:
        """Return up to `n` bytes, or the rest of the file; b"" at its end.

        :raises ValueError: if the file is not open.
        """
        if self._content is not None:
            return self._content.read(n)
        if self._descriptor < 0:
            raise ValueError(f"read of closed file {self.path}")
        limit = -1 if n is None or n < 0 else n
        if self._inline and 0 <= limit <= INLINE_BYTES:
            return read_rest(self._descriptor, limit)
        # The thread has a descriptor of its own: this one may be closed, and its number reused, meanwhile.
        own = os.dup(self._descriptor)
        size = self._size if limit < 0 else min(self._size, limit)
        return await in_thread(_read_and_close, own, limit, size=size)

    async def close(self) -> None:
        """Close the file."""
        self._content = None
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            if self._inline:
                os.close(descriptor)
            else:
                await in_thread(os.close, descriptor)

    def __await__(self) -> Generator[Any, None, Self]:
        return self.open().__await__()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


class FileWriter:
    """A file replaced as a whole: it appears, complete, when the stream is closed without an exception.

    Little content is kept in memory and put in place in one go; more goes to an unnamed or temporary file in
    the same directory, which a reader never sees and a crash leaves to be swept.

    :param path: the file.
    :param inline: whether it lies on a local file system.
    """

    __slots__ = (
        "_abandoned",
        "_blocks",
        "_closed",
        "_draft",
        "_failure",
        "_inline",
        "_size",
        "_total",
        "_turn",
        "path",
    )

    def __init__(self, path: str, inline: bool) -> None:
        self.path = path
        self._inline = inline
        self._blocks: list[bytes] = []
        self._size = self._total = 0
        self._draft: Draft | None = None
        self._closed = self._abandoned = False
        self._failure: BaseException | None = None
        #: Held by the thread that is writing to the draft, if there is one.
        self._turn = Lock()

    async def open(self) -> Self:
        """Return the stream: nothing is opened before there is something to write."""
        return self

    async def write(self, data: bytes) -> None:
        """Write all of `data`.

        :raises ValueError: if the stream is closed.
        """
        if self._closed:
            raise ValueError(f"write to closed file {self.path}")
        if type(data) is not bytes:
            data = bytes(memoryview(data))
        self._blocks.append(data)
        self._size += len(data)
        if self._size > INLINE_BYTES:
            self._total += self._size
            try:
                await in_thread(self._write_out, self._spill, size=self._size)
            except BaseException as error:
                await self._abandon(error)
                raise

    def _write_out(self, step: Callable[[], None]) -> None:
        """Take a step; if the file is abandoned, the last of this thread and whoever abandoned it cleans up."""
        try:
            with self._turn:
                step()
        finally:
            self._clean_up()

    def _clean_up(self) -> None:
        if self._abandoned and self._turn.acquire(blocking=False):
            try:
                draft, self._draft = self._draft, None
                if draft is not None:
                    draft.abandon()
            finally:
                self._turn.release()

    def _spill(self) -> None:
        """Move what is in memory to the draft."""
        if self._draft is None:
            self._draft = Draft(self.path)
        blocks, self._blocks, self._size = self._blocks, [], 0
        self._draft.write(b"".join(blocks))

    def _publish(self) -> None:
        if self._draft is None and self._inline:
            put_bytes(self.path, b"".join(self._blocks))
            return
        self._spill()
        draft = self._draft
        if draft is not None and not self._abandoned:
            self._draft = None
            draft.publish()

    async def close(self) -> None:
        """Put the file in place, complete; what a failed write left incomplete, never.

        :raises OSError: if a write has failed.
        """
        if self._failure is not None:
            raise self._failure
        if self._closed:
            return
        self._closed = True
        if self._inline and self._draft is None:
            self._publish()
            return
        try:
            await in_thread(self._write_out, self._publish, size=self._total + self._size)
        except BaseException:
            await self._abandon()
            raise

    async def _abandon(self, failure: BaseException | None = None) -> None:
        self._closed = self._abandoned = True
        self._failure = failure
        self._blocks.clear()
        if self._draft is None or self._inline:
            self._clean_up()
            return
        try:
            await in_thread(self._clean_up)
        except BackendError:
            pass  # the error that led here says more; what is left is swept at the next start

    def __await__(self) -> Generator[Any, None, Self]:
        return self.open().__await__()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.close()
        else:
            await self._abandon()

    def __del__(self) -> None:
        if self._draft is not None:
            self._draft.abandon()


def _read_and_close(descriptor: int, limit: int) -> bytes:
    try:
        return read_rest(descriptor, limit)
    finally:
        os.close(descriptor)


class FileTextReader(AReadText):
    """A file read as UTF-8 text; opened when it is awaited or entered.

    :param path: the file.
    :param inline: whether it lies on a local file system.
    """

    base: FileReader

    def __init__(self, path: str, inline: bool) -> None:
        super().__init__(FileReader(path, inline))

    def __await__(self) -> Generator[Any, None, Self]:
        return self.__aenter__().__await__()


class FileTextWriter(AWriteText):
    """A file replaced as a whole by UTF-8 text.

    :param path: the file.
    :param inline: whether it lies on a local file system.
    """

    base: FileWriter

    def __init__(self, path: str, inline: bool) -> None:
        super().__init__(FileWriter(path, inline))

    def __await__(self) -> Generator[Any, None, Self]:
        return self.__aenter__().__await__()
