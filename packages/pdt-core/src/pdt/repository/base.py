"""The repository contract: a key-value store whose keys are job ids."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Hashable,
    Iterable,
    Mapping,
    Sequence,
    Set,
)
from functools import wraps
from inspect import iscoroutinefunction
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar, overload

from .. import job as job_module
from ..errors import CorruptRecordError
from ..job import JobIdRule

if TYPE_CHECKING:
    from ..streams import AReadStream, AReadText, AWriteStream, AWriteText
    from .wrappers import MapRepository

__all__ = ["BlobRepository", "Child", "MetadataRepository", "Opening", "Repository", "Use", "job_getter"]

Mode = Literal["r", "rb", "w", "wb"]
#: What a pipeline does with a repository: look which jobs it has and make nothing, read it, or write to it as well.
Use = Literal["look", "read", "write"]
Method = TypeVar("Method", bound=Callable[..., Any])
Stream = TypeVar("Stream")

logger = logging.getLogger("pdt.repository")
REMEMBERED_WARNINGS = 1000


def job_getter(method: Method) -> Method:
    """Mark a method whose first argument is a job id, so that a repository that translates ids can forward it."""
    method.is_job_getter = True  # type: ignore[attr-defined]
    return method


class Child(NamedTuple):
    """What a combinator needs to know of one repository that it is made of.

    :param repo: the repository.
    :param name: what the combinator calls it.
    :param items: whether it needs every key with its info, rather than the keys alone.
    """

    repo: Repository
    name: str
    items: bool = False


class Repository(ABC):
    """A key-value store whose keys are job ids; what the values are, the subclasses say."""

    CHARSET: ClassVar[str] = job_module.CHARSET
    CHARSET_START_END: ClassVar[str] = job_module.CHARSET_START_END

    #: Whether its coroutines never suspend: it is in memory or on a local disk.
    inline: bool = False
    #: Whether other processes can see what is in it.
    shared: bool = True
    #: What the store can do beyond the minimum; the engine asks before it relies on any of it.
    capabilities: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def is_valid_job_id(cls, job: str) -> bool:
        """Tell whether `job` has 1 to 63 characters of CHARSET, the first and last of CHARSET_START_END."""
        return JobIdRule.of(cls.CHARSET, cls.CHARSET_START_END).accepts(job)

    @property
    def job_ids(self) -> JobIdRule:
        """The rule that this repository's keys follow."""
        return JobIdRule.of(self.CHARSET, self.CHARSET_START_END)

    async def filter_jobs(self, iterator: AsyncIterable[str]) -> AsyncIterator[str]:
        """Yield the valid job ids of `iterator`; each other key is warned of once."""
        accepts = self.job_ids.accepts
        async for key in iterator:
            if accepts(key):
                yield key
            else:
                self.report_skipped((key,))

    def report_skipped(self, keys: Iterable[str]) -> None:
        """Warn of keys that are not job ids, once per key."""
        warned: set[str] = self.__dict__.setdefault("_warned", set())
        for key in sorted(keys, key=ascii):
            if key not in warned and len(warned) < REMEMBERED_WARNINGS:
                warned.add(key)
                text = "Skipping %.200s in %s - not a valid job id: %s"
                logger.warning(text, ascii(key), self, self.job_ids.reason(key), extra={"skipped_key": key})

    def __aiter__(self) -> AsyncIterator[str]:
        return self.filter_jobs(self.unfiltered_iter())

    async def contains(self, item: str) -> bool:
        """Tell whether the repository holds this job; this default lists it: override it if there is a better way."""
        async for key in self:
            if key == item:
                return True
        return False

    async def present(self, jobs: Collection[str]) -> set[str]:
        """Return those of `jobs` that the repository holds, asking for all at once where the store can."""
        return {job for job in jobs if await self.contains(job)}

    @abstractmethod
    def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        """Yield every key of the store, valid job id or not."""

    async def keys(self) -> Set[str]:
        """Return every key of the store, valid job id or not; the caller must not change the set."""
        return {key async for key in self.unfiltered_iter()}

    async def items(self) -> Mapping[str, Any]:
        """Return every valid key with its info; a record that cannot be read is there as its CorruptRecordError."""
        try:
            return await self.info_all()
        except CorruptRecordError:
            pass  # one of them; the others are not to suffer
        infos: dict[str, Any] = {}
        async for job in self:
            try:
                infos[job] = await self.info(job)
            except CorruptRecordError as error:
                infos[job] = error
        return infos

    @abstractmethod
    async def info(self, job: str) -> Any:
        """Return what a template sees of `job`; something meaningful also where the job is absent."""

    @abstractmethod
    async def delete(self, job: str) -> None:
        """Remove `job`; it is no error if it is absent."""

    async def info_all(self) -> dict[str, Any]:
        """Return the info of every job; override it if the store can load them together."""
        return {job: await self.info(job) async for job in self}

    async def validate(self) -> None:  # noqa: B027  a hook that most classes leave alone
        """Raise an exception if the repository is misconfigured; the pipeline calls it on opening."""

    def expect(self, use: Use) -> None:  # noqa: B027  a hook that most classes leave alone
        """Learn, before `validate`, what the pipeline that opens does with it: "look", "read" or "write".

        Where it only looks, nothing may be made, and what is missing is empty.
        """

    async def overlooked(self) -> Mapping[str, str]:
        """Return what lies in the store like a job and is none, and why; for a person who looks for it."""
        return {}

    def stamp(self) -> Hashable | None:
        """Return a value that changes whenever the set of keys does, or None if the store cannot tell."""
        return None

    def durable_path(self) -> str | None:
        """Return a local path on the file system that holds the values, or None if another host makes them durable."""
        return None

    def staged(self, job: str, token: str) -> tuple[str, str] | None:
        """Return a local path to write a value at, and where to move it once it counts; None if there is no such thing.

        :param token: 32 hexadecimal digits, other for each writer.
        """
        return None

    def release(self) -> None:  # noqa: B027  a hook that most classes leave alone
        """Give back files and connections of its own, to be taken again when they are needed; on closing a pipeline."""

    def map(
        self,
        func: Callable[..., Any],
        filt: Callable[[str], Awaitable[bool] | bool] | None = None,
        allow_deletes: bool = False,
    ) -> MapRepository:
        """Return this repository with its info passed through `func`, and only the jobs for which `filt` holds."""
        from .wrappers import MapRepository

        return MapRepository(self, func, filt, allow_deletes=allow_deletes)

    # What combinators tell the engine; a leaf has no children.

    @property
    def children(self) -> tuple[Child, ...]:
        """The repositories that this one is computed from."""
        return ()

    @property
    def parts(self) -> tuple[Repository, ...]:
        """Every repository that this one is made of, also those that are asked but not listed."""
        return tuple(child.repo for child in self.children)

    def combine(self, answers: Sequence[Any]) -> Set[str]:
        """Compute the keys from the listings of `children`, without asking anything; for combinators."""
        raise NotImplementedError(f"{type(self).__name__} has children but no combine()")

    async def narrow(self, keys: Set[str]) -> Set[str]:
        """Keep the keys for which a condition holds that has to be asked for; all of them by default."""
        return keys

    def lookups(self, job: str, answers: Sequence[Any]) -> list[tuple[int, str]]:
        """Tell which key of which child decides whether `job` is in this repository."""
        return [(index, job) for index in range(len(self.children))]

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Opening(Generic[Stream]):
    """An open() under way: `await` it for the stream, or use it as `async with` at once."""

    __slots__ = ("_open", "_stream")

    def __init__(self, open_stream: Callable[[], Awaitable[Any]]) -> None:
        self._open = open_stream
        self._stream: Any = None

    def __await__(self) -> Any:
        return self._open().__await__()

    async def __aenter__(self) -> Stream:
        self._stream = await self._open()
        entered: Stream = await self._stream.__aenter__()
        return entered

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        result: bool | None = await self._stream.__aexit__(kind, error, trace)
        return result


class BlobRepository(Repository):
    """A repository whose values are flat data that is streamed.

    A subclass may write `open` as `async def`: it works as `async with repo.open(...)` all the same.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        method = cls.__dict__.get("open")
        if method is not None and iscoroutinefunction(method):

            @wraps(method)
            def open(self: Any, *args: Any, **options: Any) -> Opening[Any]:
                return Opening(lambda: method(self, *args, **options))

            cls.open = job_getter(open)  # type: ignore[method-assign]

    @overload
    def open(self, job: str, mode: Literal["r"] = ...) -> Opening[AReadText]: ...
    @overload
    def open(self, job: str, mode: Literal["rb"]) -> Opening[AReadStream]: ...
    @overload
    def open(self, job: str, mode: Literal["w"]) -> Opening[AWriteText]: ...
    @overload
    def open(self, job: str, mode: Literal["wb"]) -> Opening[AWriteStream]: ...

    @abstractmethod
    def open(self, job: str, mode: Mode = "r") -> Opening[Any]:
        """Open the value of `job` for reading or writing, as text or bytes.

        What is written becomes visible when the stream is closed, and not at all if its block is left by an exception.

        :raises InvalidJobIdError: if `job` is not a valid job id.
        :raises ValueError: if `mode` is none of r, rb, w, wb.
        """


class MetadataRepository(Repository):
    """A repository whose values are small, structured data, loaded whole by `info`."""

    @abstractmethod
    async def info(self, job: str) -> Any:
        """Return the data of `job`, or {} if there is none."""

    @abstractmethod
    async def dump(self, job: str, data: Any) -> None:
        """Store `data` for `job`, in place of what was there."""

    async def dump_all(self, records: Mapping[str, Any]) -> None:
        """Store many records, together where the store can; all of them are visible on return."""
        for job in records:
            self.job_ids.check(job)
        for job, data in records.items():
            await self.dump(job, data)


def check_mode(mode: object) -> None:
    """Refuse a mode that no blob repository knows.

    :raises ValueError: if `mode` is none of r, rb, w, wb.
    """
    if mode not in ("r", "rb", "w", "wb"):
        raise ValueError(f"mode {mode!r} is none of 'r', 'rb', 'w', 'wb'")
