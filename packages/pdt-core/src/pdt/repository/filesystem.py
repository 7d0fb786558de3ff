"""Repositories of local files and directories: each job is an entry of one directory."""

from __future__ import annotations

import os
import shutil
import time
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Collection, Hashable, Set
from functools import cached_property
from pathlib import Path
from typing import Any

from .. import localfs
from ..errors import InvalidJobIdError
from ..localfs import call
from .base import BlobRepository, Mode, Repository, check_mode, job_getter
from .filestream import FileReader, FileTextReader, FileTextWriter, FileWriter

__all__ = ["DirectoryRepository", "FileRepository", "FileRepositoryBase"]

#: Nanoseconds for which the clock of a directory may stand still: a younger stamp may hide a change.
STAMP_GRANULARITY = 2_000_000_000


class FileRepositoryBase(Repository):
    """A local directory in which each job is an entry: the job id and an extension.

    :param basedir: the directory; made by `validate` if it is missing.
    :param extension: what follows the job id in the entry's name, the dot included.
    :param case_insensitive: whether the extension is recognised in any case.
    """

    def __init__(
        self, basedir: str | os.PathLike[str], extension: str = "", case_insensitive: bool = False
    ) -> None:
        if "/" in extension or "\0" in extension:
            raise ValueError(f"extension {extension!r} contains a character that no file name can")
        self.basedir = Path(basedir)
        self.extension = extension
        self.case_insensitive = case_insensitive
        self._directory = os.fspath(self.basedir)
        self._prefix = os.path.join(self._directory, "")
        self._swept = False
        self._rule = self.job_ids

    @cached_property
    def inline(self) -> bool:  # type: ignore[override]
        """Whether the directory lies on a local file system."""
        return localfs.is_local(self._directory)

    #: Which entries of the directory may be jobs.
    _accepts_entry: Callable[[os.DirEntry[str]], bool]

    @abstractmethod
    def _holds(self, path: str) -> bool:
        """Tell whether `path` is an entry that may be a job."""

    def _path(self, job: str) -> str:
        """Return where `job` is or would be; never outside the directory."""
        self._rule.check(job)
        name = job + self.extension
        if "/" in name or "\0" in name or name in (".", ".."):
            raise InvalidJobIdError(job, "it cannot be a file name")
        path = self._prefix + name
        return self._other_case(job, path) if self.case_insensitive else path

    def _other_case(self, job: str, path: str) -> str:
        """Return the entry of `job` whose extension is spelt in another case, where that is the one there is."""
        if os.path.lexists(path) or not os.path.isdir(self._directory):
            return path
        wanted = self.extension.lower()
        for name in os.listdir(self._directory):
            if name.startswith(job) and name[len(job) :].lower() == wanted:
                return self._prefix + name
        return path

    def _list(self) -> set[str]:
        accepts = self._accepts_entry
        with os.scandir(self._directory) as entries:
            names = [entry.name for entry in filter(accepts, entries)]
        hidden = [name for name in names if name.startswith(localfs.TEMPORARY_PREFIX)]
        if not self._swept:
            self._swept = True
            localfs.sweep_temporaries(self._directory, hidden)
        keys = self._without_extension(names)
        return keys.difference(hidden) if hidden else keys

    def _without_extension(self, names: list[str]) -> set[str]:
        if not self.extension:
            return set(names)
        extension, cut = self.extension, -len(self.extension)
        if self.case_insensitive:
            extension = extension.lower()
            return {name[:cut] for name in names if name.lower().endswith(extension)}
        return {name[:cut] for name in names if name.endswith(extension)}

    async def keys(self) -> Set[str]:
        """Return the entries' names without the extension, of those that have it."""
        return await call(self.inline, self._list)

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        """Yield every key."""
        for key in await self.keys():
            yield key

    async def contains(self, item: str) -> bool:
        """Tell whether the job has an entry."""
        if not self.job_ids.accepts(item):
            return False
        return await call(self.inline, self._holds, self._path(item))

    async def present(self, jobs: Collection[str]) -> set[str]:
        """Return those of `jobs` that have an entry."""
        accepts = self.job_ids.accepts

        def look() -> set[str]:
            return {job for job in jobs if accepts(job) and self._holds(self._path(job))}

        return await call(self.inline, look)

    async def validate(self) -> None:
        """Make the directory if it is missing.

        :raises PermissionError: if it cannot be written.
        """
        await call(self.inline, self._validate)

    def _validate(self) -> None:
        os.makedirs(self._directory, exist_ok=True)
        if not os.access(self._directory, os.W_OK | os.X_OK):
            raise PermissionError(f"cannot write to {self._directory}: check its owner and mode")

    def fullpath(self, job: str) -> Path:
        """Return the local path of the entry of `job`, existing or not.

        :raises InvalidJobIdError: if `job` is not a valid job id.
        """
        return Path(self._path(job))

    async def info(self, job: str) -> Any:
        """Return the local path as text."""
        return self._path(job)

    async def info_all(self) -> dict[str, Any]:
        """Return the path of every job."""
        return {job: self._path(job) async for job in self}

    def stamp(self) -> Hashable | None:
        """Return the directory's identity and time of change, once that is old enough to be trusted."""
        if not self.inline:
            return None
        state = os.stat(self._directory)
        if time.time_ns() - state.st_mtime_ns < STAMP_GRANULARITY:
            return None
        return (state.st_dev, state.st_ino, state.st_mtime_ns)

    def durable_path(self) -> str | None:
        """Return the directory."""
        return self._directory

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "inline"}

    def __repr__(self) -> str:
        extension = f", extension={self.extension!r}" if self.extension else ""
        return f"{type(self).__name__}({self._directory!r}{extension})"


class FileRepository(FileRepositoryBase, BlobRepository):
    """A repository of files, streamed.

    :param basedir: the directory; made by `validate` if it is missing.
    :param extension: what follows the job id in a file's name, the dot included.
    :param case_insensitive: whether the extension is recognised in any case.
    """

    _accepts_entry = staticmethod(os.DirEntry.is_file)

    def _holds(self, path: str) -> bool:
        return os.path.isfile(path)

    @job_getter
    def open(self, job: str, mode: Mode = "r") -> Any:
        """Open the job's file; a written file replaces the old one as a whole when the stream is closed.

        :raises InvalidJobIdError: if `job` is not a valid job id.
        :raises ValueError: if `mode` is none of r, rb, w, wb.
        :raises FileNotFoundError: if it is opened for reading and absent.
        """
        stream = _STREAMS.get(mode)
        if stream is None:
            check_mode(mode)
        return stream(self._path(job), self.inline)  # type: ignore[misc]

    async def delete(self, job: str) -> None:
        """Remove the job's file; nothing happens if it is absent."""
        await call(self.inline, self._delete, self._path(job))

    @staticmethod
    def _delete(path: str) -> None:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass  # deleting what is absent is no error


class DirectoryRepository(FileRepositoryBase):
    """A repository of directories.

    :param discard_empty: whether a directory without entries counts as absent.
    """

    def __init__(self, *args: Any, discard_empty: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.discard_empty = discard_empty

    def _accepts_entry(self, entry: os.DirEntry[str]) -> bool:
        return entry.is_dir() and not (self.discard_empty and _is_empty(entry.path))

    def _holds(self, path: str) -> bool:
        return os.path.isdir(path) and not (self.discard_empty and _is_empty(path))

    def stamp(self) -> Hashable | None:
        """Return None where an entry's own content decides whether it is there."""
        return None if self.discard_empty else super().stamp()

    @job_getter
    async def mkdir(self, job: str) -> None:
        """Make the job's directory; nothing happens if it is there."""
        await call(self.inline, self._mkdir, self._path(job))

    @staticmethod
    def _mkdir(path: str) -> None:
        try:
            os.mkdir(path)
        except FileExistsError:
            if not os.path.isdir(path):
                raise

    async def delete(self, job: str) -> None:
        """Remove the job's directory with all that is in it; nothing happens if it is absent."""
        await call(self.inline, self._delete, self._path(job))

    @staticmethod
    def _delete(path: str) -> None:
        if os.path.islink(path):
            os.unlink(path)
        elif os.path.lexists(path):
            shutil.rmtree(path)


_STREAMS: dict[str, Callable[[str, bool], Any]] = {
    "r": FileTextReader,
    "rb": FileReader,
    "w": FileTextWriter,
    "wb": FileWriter,
}


def _is_empty(path: str) -> bool:
    with os.scandir(path) as entries:
        return next(entries, None) is None
