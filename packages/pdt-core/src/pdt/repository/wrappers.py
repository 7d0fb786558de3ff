"""Repositories that show another one differently: its info passed through a function, or its keys translated."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from functools import lru_cache
from inspect import isawaitable, iscoroutinefunction
from typing import Any, cast

from ..concurrency import map_bounded
from ..errors import CorruptRecordError, NotFoundError
from ..job import JobIdRule
from .base import BlobRepository, Child, MetadataRepository, Mode, Opening, Repository, job_getter
from .combinators import Combinator

__all__ = ["MapRepository", "RelatedItemRepository"]


def _class_like(wrapper: type[Repository], wrapped: Repository, blob: type, metadata: type) -> type:
    """Return the subclass of `wrapper` that is a blob or metadata repository exactly where `wrapped` is."""
    natures = ((blob, BlobRepository), (metadata, MetadataRepository))
    return _mixed(wrapper, tuple(mixin for mixin, nature in natures if isinstance(wrapped, nature)))


@lru_cache
def _mixed(wrapper: type[Repository], mixins: tuple[type, ...]) -> type:
    if len(mixins) < 2:
        return mixins[0] if mixins else wrapper
    return type(wrapper.__name__, mixins, {"__module__": wrapper.__module__})


def _written_class(wrapper: type[Repository], repo: Repository) -> type[Repository]:
    """Return the class by which a copy of `repo` is made: its own if somebody wrote it, else `wrapper`."""
    return wrapper if type(repo).__module__ == wrapper.__module__ else type(repo)


class MapRepository(Combinator):
    """A repository whose info is another's passed through a function.

    It is a blob or metadata repository where `base` is one: streams and records pass through unchanged.

    :param func: from base's info to this one's; may be asynchronous.
    :param filt: which jobs are kept; may be asynchronous; all by default.
    :param allow_deletes: whether `delete` deletes from `base`; by default it does nothing.
    """

    def __new__(
        cls,
        base: Repository,
        func: Callable[..., Any],
        filt: Callable[[str], Any] | None = None,
        allow_deletes: bool = False,
    ) -> MapRepository:
        kind = _class_like(cls, base, _MapBlob, _MapMetadata) if cls is MapRepository else cls
        return cast(MapRepository, object.__new__(kind))

    def __init__(
        self,
        base: Repository,
        func: Callable[..., Any],
        filt: Callable[[str], Any] | None = None,
        allow_deletes: bool = False,
    ) -> None:
        self.base = base
        self.func = func
        self.filt = filt
        self.allow_deletes = allow_deletes

    def __reduce__(self) -> Any:
        return (_written_class(MapRepository, self), (self.base, self.func, self.filt, self.allow_deletes))

    @property
    def children(self) -> tuple[Child, ...]:
        """The mapped repository."""
        return (Child(self.base, "base"),)

    @property
    def inline(self) -> bool:  # type: ignore[override]
        """Whether it never suspends: a function of the user's may."""
        return False

    def combine(self, answers: Sequence[Any]) -> Set[str]:
        """Keep the keys as they are."""
        return cast(Set[str], answers[0])

    async def narrow(self, keys: Set[str]) -> Set[str]:
        """Keep the jobs for which `filt` holds, and what is no job."""
        if self.filt is None:
            return keys
        accepts = self.job_ids.accepts
        jobs = [key for key in keys if accepts(key)]
        kept = await _call_each(self.filt, jobs)
        return {*(job for job, keep in zip(jobs, kept, strict=True) if keep), *(keys - set(jobs))}

    async def contains(self, item: str) -> bool:
        """Tell whether the job passes `filt` and is in `base`."""
        if not self.job_ids.accepts(item):
            return False
        return (self.filt is None or bool(await _call(self.filt, item))) and await self.base.contains(item)

    async def present(self, jobs: Collection[str]) -> set[str]:
        """Return those of `jobs` that pass `filt` and are in `base`."""
        return set(await self.narrow(await self.base.present(jobs)))

    async def info(self, job: str) -> Any:
        """Return base's info passed through `func`; also for a job that `filt` rejects."""
        return await _call(self.func, await self.base.info(job))

    async def info_all(self) -> dict[str, Any]:
        """Return base's infos passed through `func`, of the jobs that `filt` keeps."""
        infos = await self.base.info_all()
        kept = await self.narrow(set(infos))
        jobs = [job for job in infos if job in kept]
        return dict(zip(jobs, await _call_each(self.func, [infos[job] for job in jobs]), strict=True))

    async def items(self) -> Mapping[str, Any]:
        """Return as info_all, but a record that cannot be read, or that `func` cannot take, as its error."""
        infos = await self.base.items()

        async def mapped(job: str) -> Any:
            info = infos[job]
            if isinstance(info, CorruptRecordError):
                return info
            try:
                return await _call(self.func, info)
            except Exception as error:
                return CorruptRecordError(repr(self), job, f"its function raised {type(error).__name__}: {error}")

        kept = await self.narrow(set(infos))
        jobs = [job for job in infos if job in kept]
        mapped_infos = await map_bounded(mapped, jobs, inline=not iscoroutinefunction(self.func))
        return dict(zip(jobs, mapped_infos, strict=True))

    async def delete(self, job: str) -> None:
        """Delete the job from `base` if that is allowed; else do nothing."""
        self.job_ids.check(job)
        if self.allow_deletes:
            await self.base.delete(job)

    def __repr__(self) -> str:
        return f"MapRepository({self.base!r})"


async def _call(func: Callable[..., Any], argument: Any) -> Any:
    result = func(argument)
    return await result if isawaitable(result) else result


async def _call_each(func: Callable[..., Any], arguments: Collection[Any]) -> list[Any]:
    return await map_bounded(lambda argument: _call(func, argument), arguments, inline=not iscoroutinefunction(func))


class _MapBlob(MapRepository, BlobRepository):
    def open(self, job: str, mode: Mode = "r") -> Opening[Any]:
        return cast(BlobRepository, self.base).open(job, mode)


class _MapMetadata(MapRepository, MetadataRepository):
    async def dump(self, job: str, data: Any) -> None:
        await cast(MetadataRepository, self.base).dump(job, data)


class RelatedItemRepository(Combinator):
    """A repository that looks each job up under another key of `base_repository`.

    It is a blob or metadata repository where the base is one.

    :param translator_repository: its info(job) is the key of the base; a job whose info is no job id is absent.
    :param allow_deletes: whether `delete` deletes from the base; by default it does nothing.
    :param prefetch_lookup: whether listings load all translations at once, or ask for one after another.
    """

    def __new__(
        cls,
        base_repository: Repository,
        translator_repository: Repository,
        allow_deletes: bool = False,
        prefetch_lookup: bool = True,
    ) -> RelatedItemRepository:
        kind = cls
        if cls is RelatedItemRepository:
            kind = _class_like(cls, base_repository, _RelatedBlob, _RelatedMetadata)
        return object.__new__(kind)

    def __init__(
        self,
        base_repository: Repository,
        translator_repository: Repository,
        allow_deletes: bool = False,
        prefetch_lookup: bool = True,
    ) -> None:
        self.base_repository = base_repository
        self.translator_repository = translator_repository
        self.allow_deletes = allow_deletes
        self.prefetch_lookup = prefetch_lookup

    def __reduce__(self) -> Any:
        arguments = (self.base_repository, self.translator_repository, self.allow_deletes, self.prefetch_lookup)
        return (_written_class(RelatedItemRepository, self), arguments)

    @property
    def children(self) -> tuple[Child, ...]:
        """The base and the translations."""
        translator = Child(self.translator_repository, "translator", items=self.prefetch_lookup)
        return (Child(self.base_repository, "base"), translator)

    @property
    def job_ids(self) -> JobIdRule:
        """The rule of the translator, whose keys these are."""
        return self.translator_repository.job_ids

    def combine(self, answers: Sequence[Any]) -> Set[str]:
        """Return the jobs whose translation is in the base; without prefetch, all that may have one."""
        base, lookup = answers
        if not self.prefetch_lookup:
            return cast(Set[str], lookup)
        rule = self.base_repository.job_ids
        if not rule.accepts_all(base):
            base = {key for key in base if rule.accepts(key)}
        return {job for job, key in lookup.items() if isinstance(key, str) and key in base}

    async def narrow(self, keys: Set[str]) -> Set[str]:
        """Ask for the translations one by one where they are not prefetched."""
        return keys if self.prefetch_lookup else await self.present(keys)

    async def present(self, jobs: Collection[str]) -> set[str]:
        """Return those of `jobs` that have a translation which the base holds."""

        async def translate(job: str) -> str | None:
            try:
                return await self.translate(job)
            except CorruptRecordError:
                return None  # as in a listing; info() says what is wrong

        jobs = [job for job in jobs if self.job_ids.accepts(job)]
        keys = await map_bounded(translate, jobs, inline=self.translator_repository.inline)
        there = await self.base_repository.present({key for key in keys if key is not None})
        return {job for job, key in zip(jobs, keys, strict=True) if key in there}

    def lookups(self, job: str, answers: Sequence[Any]) -> list[tuple[int, str]]:
        """Name the translation, and then what it leads to."""
        lookup = answers[1]
        key = lookup.get(job) if isinstance(lookup, Mapping) else None
        return [(1, job), (0, key)] if self.base_repository.job_ids.accepts(key) else [(1, job)]

    async def translate(self, job: str) -> str | None:
        """Return the base's key for `job`, or None if there is none."""
        self.job_ids.check(job)
        try:
            key = await self.translator_repository.info(job)
        except LookupError:
            return None  # the translator translates, too, or needs what the job's record does not have
        return key if self.base_repository.job_ids.accepts(key) else None

    async def require(self, job: str) -> str:
        """Return the base's key for `job`.

        :raises NotFoundError: if there is none; it is a LookupError.
        """
        key = await self.translate(job)
        if key is None:
            raise NotFoundError(f"job {job!r} has no translation in {self.translator_repository!r}")
        return key

    async def contains(self, item: str) -> bool:
        """Tell whether the job has a translation and the base holds it."""
        key = await self.translate(item) if self.job_ids.accepts(item) else None
        return key is not None and await self.base_repository.contains(key)

    async def info(self, job: str) -> Any:
        """Return the base's info of the translated job.

        :raises LookupError: if the job has no translation.
        """
        return await self.base_repository.info(await self.require(job))

    async def delete(self, job: str) -> None:
        """Delete the translated job from the base if that is allowed; else do nothing."""
        self.job_ids.check(job)
        if self.allow_deletes and (key := await self.translate(job)) is not None:
            await self.base_repository.delete(key)

    def __getattr__(self, name: str) -> Any:
        """Offer what the base has beyond the contract: data as it is, and methods of a job by the translated job."""
        if name.startswith("_") or "base_repository" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        attribute = getattr(self.base_repository, name)
        if not callable(attribute):
            return attribute
        if not getattr(attribute, "is_job_getter", False):
            raise AttributeError(f"{name!r} of {self.base_repository!r} cannot be called by a translated job")

        async def by_translated_job(job: str, *args: Any, **kwargs: Any) -> Any:
            return await attribute(await self.require(job), *args, **kwargs)

        return by_translated_job

    def __repr__(self) -> str:
        return f"RelatedItemRepository({self.base_repository!r}, via={self.translator_repository!r})"


class _RelatedBlob(RelatedItemRepository, BlobRepository):
    @job_getter
    def open(self, job: str, mode: Mode = "r") -> Opening[Any]:
        async def open_translated() -> Any:
            return await cast(BlobRepository, self.base_repository).open(await self.require(job), mode)

        return Opening(open_translated)


class _RelatedMetadata(RelatedItemRepository, MetadataRepository):
    @job_getter
    async def dump(self, job: str, data: Any) -> None:
        await cast(MetadataRepository, self.base_repository).dump(await self.require(job), data)
