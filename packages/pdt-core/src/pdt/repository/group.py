"""Fan-in: a repository whose keys are groups, each there when all of its members are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence, Set
from typing import Any

from ..concurrency import map_bounded
from ..errors import ConfigurationError, CorruptRecordError
from ..job import JobIdRule
from .base import BlobRepository, Child, Mode, Opening, Repository
from .combinators import Combinator

__all__ = ["GroupRepository"]


class GroupRepository(Combinator):
    """A repository whose keys are the groups of `by`; a group is there when every member of it is in `source`.

    A member that is added later makes its group absent again until the member is in `source` as well.

    :param source: the repository that holds the members.
    :param by: its info(member) is the group's name, a job id; a member whose info is anything else is in no group.
    :param allow_deletes: whether `delete` deletes a group's members from `source`; by default it does nothing.
    """

    def __init__(self, source: Repository, by: Repository, allow_deletes: bool = False) -> None:
        for role, repo in (("source", source), ("by", by)):
            if not isinstance(repo, Repository):
                raise ConfigurationError(f"GroupRepository: {role} is {type(repo).__name__}, not a repository")
        self.source = source
        self.by = by
        self.allow_deletes = allow_deletes

    @property
    def children(self) -> tuple[Child, ...]:
        """The source, and what says which group a member belongs to."""
        return (Child(self.source, "source"), Child(self.by, "by", items=True))

    @property
    def job_ids(self) -> JobIdRule:
        """The rule of job ids: groups are named by data."""
        return JobIdRule.of(self.CHARSET, self.CHARSET_START_END)

    def combine(self, answers: Sequence[Any]) -> Set[str]:
        """Return the groups of which no member is missing.

        :raises CorruptRecordError: if the group of a member cannot be read: it may be missing from any.
        """
        source, groups = answers
        named = _named(groups)
        return {group for _, group in named}.difference(group for member, group in named if member not in source)

    def lookups(self, job: str, answers: Sequence[Any]) -> list[tuple[int, str]]:
        """Name the group's members, those that are missing first."""
        source, groups = answers
        members = sorted((member for member, group in _named(groups) if group == job), key=lambda m: (m in source, m))
        return [(0, member) for member in members]

    async def members(self, group: str) -> list[str]:
        """Return the members of `group`, in order, whether `source` has them or not."""
        return sorted(member for member, name in _named(await self.by.items()) if name == group)

    async def contains(self, item: str) -> bool:
        """Tell whether the group has members and `source` holds them all."""
        return bool(await self.present([item]))

    async def present(self, jobs: Collection[str]) -> set[str]:
        """Return those of `jobs` that are groups of which `source` holds every member."""
        wanted = {job for job in jobs if self.job_ids.accepts(job)}
        groups = {member: group for member, group in _named(await self.by.items()) if group in wanted}
        return set(self.combine((await self.source.present(groups), groups)))

    async def info(self, job: str) -> dict[str, Any]:
        """Return the info of every member of the group."""
        members = await self.members(self.job_ids.check(job))
        infos = await map_bounded(self.source.info, members, inline=self.source.inline)
        return dict(zip(members, infos, strict=True))

    async def open(self, group: str, mode: Mode = "r") -> AsyncIterator[tuple[str, Opening[Any]]]:
        """Yield each member of `group` with its value, which `async with` opens.

        :raises TypeError: if `source` is not a blob repository.
        """
        self.job_ids.check(group)
        if not isinstance(self.source, BlobRepository):
            raise TypeError(f"{self.source!r} has no blobs to open; use info({group!r})")
        for member in await self.members(group):
            yield member, self.source.open(member, mode)

    async def delete(self, job: str) -> None:
        """Delete the group's members from `source` if that is allowed; else do nothing."""
        self.job_ids.check(job)
        if self.allow_deletes:
            await map_bounded(self.source.delete, await self.members(job), inline=self.source.inline)

    def __repr__(self) -> str:
        return f"GroupRepository({self.source!r}, by={self.by!r})"


def _named(groups: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return each member that has a group, and the group.

    :raises CorruptRecordError: if the group of a member cannot be read.
    """
    for group in groups.values():
        if isinstance(group, CorruptRecordError):
            raise group
    return [(member, group) for member, group in groups.items() if isinstance(group, str)]
