"""Repositories of local files and directories: each job is an entry of one directory."""

from __future__ import annotations

import os
import shutil
import time
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Collection, Hashable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from errno import EACCES, EEXIST, ELOOP
from functools import cached_property
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any

from .. import localfs
from ..errors import BackendError, InvalidJobIdError
from ..localfs import call
from ..mounts import has_exact_stamps
from .base import BlobRepository, Mode, Opening, Repository, Use, check_mode, job_getter
from .filestream import FileReader, FileTextReader, FileTextWriter, FileWriter

__all__ = ["DirectoryRepository", "FileRepository", "FileRepositoryBase"]

#: Nanoseconds for which a coarse clock of a directory may stand still: a younger stamp may hide a change.
STAMP_GRANULARITY = 2_000_000_000
#: The directory of values that do not count yet.
STAGING = f"{localfs.TEMPORARY_PREFIX}staged"


class FileRepositoryBase(Repository):
    """A local directory in which each job is an entry: the job id and an extension.

    :param basedir: the directory; made by `validate` if it is missing.
    :param extension: what follows the job id in the entry's name, the dot included.
    :param case_insensitive: whether the extension is recognised in any case.
    """

    def __init__(self, basedir: str | os.PathLike[str], extension: str = "", case_insensitive: bool = False) -> None:
        if "/" in extension or "\0" in extension:
            raise ValueError(f"extension {extension!r} contains a character that no file name can")
        self.basedir = Path(os.path.abspath(basedir))
        self.extension = extension
        self.case_insensitive = case_insensitive
        self._directory = os.fspath(self.basedir)
        self._prefix = os.path.join(self._directory, "")
        self._staging: str | None = None
        self._swept = False
        self._use: Use = "write"
        self._rule = self.job_ids
        #: Whether every job id that the rule accepts makes a file name.
        self._is_plain = set("/\0").isdisjoint(self.CHARSET) and "." not in self.CHARSET_START_END

    @cached_property
    def inline(self) -> bool:  # type: ignore[override]
        """Whether the directory lies on a local file system."""
        return localfs.is_local(self._directory)

    @cached_property
    def _has_exact_stamps(self) -> bool:
        return has_exact_stamps(self._directory)

    #: Which entries of the directory may be jobs.
    _accepts_entry: Callable[[os.DirEntry[str]], bool]
    #: Which entries are of the kind that jobs are, and what that is called.
    _is_of_kind: Callable[[os.DirEntry[str]], bool]
    _kind: str

    @abstractmethod
    def _holds(self, path: str) -> bool:
        """Tell whether `path` is an entry that may be a job."""

    def _path(self, job: str) -> str:
        """Return where `job` is or would be; never outside the directory."""
        if self._is_plain and self._rule.accepts(job):
            return f"{self._prefix}{job}{self.extension}"
        self._rule.check(job)
        name = job + self.extension
        if "/" in name or "\0" in name or _is_reserved(name):
            raise InvalidJobIdError(job, "it cannot be a file name", fix="use one that a file can have")
        return self._prefix + name

    def _accepts(self, job: str) -> bool:
        """Tell whether `job` may have an entry."""
        if self._is_plain:
            return self._rule.accepts(job)
        try:
            self._path(job)
        except InvalidJobIdError:
            return False
        return True

    def _find(self, job: str) -> str:
        """Return where `job` is, or would be."""
        path = self._path(job)
        if not self.case_insensitive or self._holds(path):
            return path
        return next(filter(self._holds, self._spellings(job)), path)

    def _spellings(self, job: str) -> list[str]:
        """Return the entries of `job`, whatever the case of their extension."""
        wanted, start = self.extension.lower(), len(job)
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            return []
        found = [name for name in names if name.startswith(job) and name[start:].lower() == wanted]
        return [self._prefix + name for name in sorted(found)]

    def _names(self) -> list[str]:
        """Return the names of the entries that may be jobs."""
        accepts = self._accepts_entry
        with self._entries() as entries:
            try:
                return [entry.name for entry in filter(accepts, entries)]
            except OSError:
                pass  # one of them cannot be looked at, such as a link that leads to itself
        with self._entries() as entries:
            return [entry.name for entry in entries if _succeeds(accepts, entry)]

    @contextmanager
    def _entries(self) -> Iterator[Iterable[os.DirEntry[str]]]:
        try:
            entries = os.scandir(self._directory)
        except FileNotFoundError:
            if self._use != "look":
                raise
            yield ()  # nobody has needed it yet
            return
        with entries:
            yield entries

    async def overlooked(self) -> Mapping[str, str]:
        """Return the entries with the extension that are of the wrong kind, and links that lead nowhere."""
        return await call(self.inline, self._overlooked)

    def _overlooked(self) -> dict[str, str]:
        found = {}
        with self._entries() as entries:
            for entry in entries:
                name = entry.name
                if name.startswith(".") or _succeeds(self._is_of_kind, entry) or not self._has_extension(name):
                    continue
                if not os.path.exists(entry.path):
                    found[name] = "it is a link that leads nowhere"
                elif self.extension:  # else it may be there for something else
                    found[name] = f"it is not a {self._kind}"
        return found

    def _has_extension(self, name: str) -> bool:
        found = name[len(name) - len(self.extension) :]
        return found == self.extension or (self.case_insensitive and found.lower() == self.extension.lower())

    def _list(self) -> set[str]:
        names = self._names()
        text = "\n".join(["", *names, ""])
        hidden: list[str] = []
        if f"\n{localfs.TEMPORARY_PREFIX}" in text:
            hidden = [name for name in names if name.startswith(localfs.TEMPORARY_PREFIX)]
        if not self._swept and self._use != "look":
            self._swept = True
            localfs.sweep_temporaries(self._directory, hidden)
        keys = self._without_extension(names, text)
        return keys.difference(hidden) if hidden else keys

    def _without_extension(self, names: list[str], text: str) -> set[str]:
        """Return the keys of `names`; `text` is the same, each between line ends, which is quicker to cut."""
        extension, cut = self.extension, -len(self.extension)
        if not extension:
            return set(names)
        if self.case_insensitive:
            return {name[:cut] for name in names if name[cut:].lower() == extension.lower()}
        if text.count("\n") - 1 == len(names) == text.count(f"{extension}\n"):
            return set(text.replace(f"{extension}\n", "\n").split("\n")[1:-1])
        return {name[:cut] for name in names if name.endswith(extension)}

    async def keys(self) -> Set[str]:
        """Return the entries' names without the extension, of those that have it."""
        return await call(self.inline, self._list)

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        """Yield every key."""
        for key in await self.keys():
            yield key

    async def contains(self, item: str) -> bool:
        """Tell whether the job has an entry.

        :raises BackendError: if the directory does not let that be told.
        """
        return self._accepts(item) and await call(self.inline, self._has, item)

    def _has(self, job: str) -> bool:
        return self._holds(self._find(job))

    async def present(self, jobs: Collection[str]) -> set[str]:
        """Return those of `jobs` that have an entry.

        :raises BackendError: if the directory does not let that be told.
        """
        return await call(self.inline, self._present, [job for job in jobs if self._accepts(job)])

    def _present(self, jobs: list[str]) -> set[str]:
        if self.case_insensitive and len(jobs) > 1:
            return self._list().intersection(jobs)
        return set(filter(self._has, jobs))

    def expect(self, use: Use) -> None:
        """Learn what the pipeline does with it: where it only reads, `validate` asks for no more."""
        self._use = use

    async def validate(self) -> None:
        """Make the directory if it is missing.

        :raises FileExistsError: if something else has its name.
        :raises PermissionError: if it cannot be written, or read where nothing writes to it.
        """
        if self._use != "look":
            await call(self.inline, self._validate)

    def _validate(self) -> None:
        try:
            os.makedirs(self._directory, exist_ok=True)
        except FileExistsError as error:
            raise FileExistsError(EEXIST, "Not a directory", error.filename) from None
        if self._use == "read":
            if not os.access(self._directory, os.R_OK | os.X_OK):
                raise PermissionError(EACCES, "Permission to read denied", self._directory)
        elif not os.access(self._directory, os.W_OK | os.X_OK):
            raise PermissionError(EACCES, "Permission to write denied", self._directory)

    def fullpath(self, job: str) -> Path:
        """Return the local path of the entry of `job`, existing or not.

        :raises InvalidJobIdError: if `job` is not a valid job id.
        """
        return Path(self._find(job))

    async def info(self, job: str) -> Any:
        """Return the local path as text."""
        return await self._locate(job)

    async def _locate(self, job: str) -> str:
        """Return where `job` is, or would be."""
        path = self._path(job)
        return await call(self.inline, self._find, job) if self.case_insensitive else path

    async def info_all(self) -> dict[str, Any]:
        """Return the path of every job."""
        jobs = [job async for job in self]
        if not self.case_insensitive:
            return {job: self._path(job) for job in jobs}
        spelt = await call(self.inline, self._spelt)
        return {job: spelt.get(job, self._path(job)) for job in jobs}

    def _spelt(self) -> dict[str, str]:
        """Return the path of every key; where its extension is spelt in several ways, as it is spelt here."""
        paths: dict[str, str] = {}
        for name in sorted(self._names()):
            cut = len(name) - len(self.extension)
            key, extension = name[:cut], name[cut:]
            if extension == self.extension or (extension.lower() == self.extension.lower() and key not in paths):
                paths[key] = self._prefix + name
        return paths

    def stamp(self) -> Hashable | None:
        """Return the directory's identity and time of change, where that tells every change from the next.

        What becomes of the target of a link elsewhere does not change it.
        """
        if not self.inline:
            return None
        try:
            state = os.stat(self._directory)
        except FileNotFoundError:
            if self._use != "look":
                raise
            return None
        if not self._has_exact_stamps and time.time_ns() - state.st_mtime_ns < STAMP_GRANULARITY:
            return None
        return (state.st_dev, state.st_ino, state.st_mtime_ns)

    def durable_path(self) -> str | None:
        """Return the directory."""
        return self._directory

    def staged(self, job: str, token: str) -> tuple[str, str]:
        """Return a path on the same file system, with the same extension, that no listing shows; and the entry's own.

        :raises InvalidJobIdError: if `job` is not a valid job id.
        """
        target = self._find(job)
        staging = self._staging
        if staging is None:
            staging = self._staging = os.path.join(self._directory, STAGING)
            os.makedirs(staging, exist_ok=True)
        return os.path.join(staging, f"{token}-{os.path.basename(target)}"), target

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("inline", "_has_exact_stamps")}

    def __repr__(self) -> str:
        extension = f", extension={self.extension!r}" if self.extension else ""
        return f"{type(self).__name__}({self._directory!r}{extension})"


class FileRepository(FileRepositoryBase, BlobRepository):
    """A repository of files, streamed.

    :param basedir: the directory; made by `validate` if it is missing.
    :param extension: what follows the job id in a file's name, the dot included.
    :param case_insensitive: whether the extension is recognised in any case.
    """

    _accepts_entry = _is_of_kind = staticmethod(os.DirEntry.is_file)
    _kind = "file"

    def _holds(self, path: str) -> bool:
        return S_ISREG(_mode_of(path))

    @job_getter
    def open(self, job: str, mode: Mode = "r") -> Any:
        """Open the job's file; a written file replaces the old one as a whole when the stream is closed.

        :raises InvalidJobIdError: if `job` is not a valid job id.
        :raises ValueError: if `mode` is none of r, rb, w, wb.
        :raises FileNotFoundError: if it is opened for reading and absent.
        """
        try:
            stream = _STREAMS[mode]
        except (KeyError, TypeError):
            check_mode(mode)
            raise
        path = self._path(job)
        if not self.case_insensitive:
            return stream(path, self.inline)

        async def open_as_it_is_spelt() -> Any:
            return await stream(await call(self.inline, self._find, job), self.inline)

        return Opening(open_as_it_is_spelt)

    async def delete(self, job: str) -> None:
        """Remove the job's file; nothing happens if it is absent."""
        self._path(job)
        await call(self.inline, self._delete, job)

    def _delete(self, job: str) -> None:
        for path in self._spellings(job) if self.case_insensitive else [self._path(job)]:
            try:
                if self._holds(path) or os.path.islink(path):
                    os.unlink(path)
            except FileNotFoundError:
                pass  # deleting what is absent is no error


class DirectoryRepository(FileRepositoryBase):
    """A repository of directories.

    :param discard_empty: whether a directory without entries counts as absent.
    """

    _is_of_kind = staticmethod(os.DirEntry.is_dir)
    _kind = "directory"

    def __init__(self, *args: Any, discard_empty: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.discard_empty = discard_empty

    def _accepts_entry(self, entry: os.DirEntry[str]) -> bool:
        return entry.is_dir() and not (self.discard_empty and _is_empty(entry.path))

    def _holds(self, path: str) -> bool:
        return S_ISDIR(_mode_of(path)) and not (self.discard_empty and _is_empty(path))

    def stamp(self) -> Hashable | None:
        """Return None where an entry's own content decides whether it is there."""
        return None if self.discard_empty else super().stamp()

    @job_getter
    async def mkdir(self, job: str) -> None:
        """Make the job's directory; nothing happens if it is there."""
        self._path(job)
        await call(self.inline, self._mkdir, job)

    def _mkdir(self, job: str) -> None:
        path = self._path(job)
        if self.case_insensitive and any(map(os.path.isdir, self._spellings(job))):
            return
        try:
            os.mkdir(path)
        except FileExistsError:
            if not os.path.isdir(path):
                raise

    async def delete(self, job: str) -> None:
        """Remove the job's directory with all that is in it; nothing happens if it is absent."""
        self._path(job)
        await call(self.inline, self._delete, job)

    def _delete(self, job: str) -> None:
        for path in self._spellings(job) if self.case_insensitive else [self._path(job)]:
            if os.path.islink(path):
                os.unlink(path)
            while os.path.isdir(path):
                try:
                    shutil.rmtree(path)
                except FileNotFoundError:
                    continue  # another process removes it as well


_STREAMS: dict[str, Callable[[str, bool], Any]] = {
    "r": FileTextReader,
    "rb": FileReader,
    "w": FileTextWriter,
    "wb": FileWriter,
}


def _is_reserved(name: str) -> bool:
    return name in (".", "..") or name.startswith(localfs.TEMPORARY_PREFIX)


def _mode_of(path: str) -> int:
    """Return the kind of a file, or 0 where there is none, nor behind a link.

    :raises BackendError: if that cannot be told: it must not look as if there were none.
    """
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        if error.errno == ELOOP and os.path.islink(path):
            return 0  # it leads to itself: listings leave it out as well
        raise BackendError(
            f"whether there is {path} cannot be told: {error.strerror}",
            fix="check the owner and the mode of the directories above it, and that their disk can be read",
        ) from error


def _succeeds(accepts: Callable[[os.DirEntry[str]], bool], entry: os.DirEntry[str]) -> bool:
    try:
        return accepts(entry)
    except OSError:
        return False


def _is_empty(path: str) -> bool:
    """Tell whether a directory has no entries; one that may not be looked into is held to have some."""
    try:
        with os.scandir(path) as entries:
            return next(entries, None) is None
    except FileNotFoundError:
        return True
    except PermissionError:
        return False
