"""Repositories computed from other repositories: their listings are set algebra over shared ones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence, Set
from typing import Any

from ..concurrency import map_bounded
from ..errors import ConfigurationError
from ..job import JobIdRule
from .base import Child, Repository

__all__ = [
    "AggregateAndRepository",
    "AggregateOrRepository",
    "BlockingRepository",
    "Combinator",
]


class Combinator(Repository):
    """A repository without data of its own: `combine` computes its keys from those of its `children`."""

    @property
    @abstractmethod
    def children(self) -> tuple[Child, ...]: ...

    @abstractmethod
    def combine(self, answers: Sequence[Any]) -> Set[str]: ...

    @property
    def inline(self) -> bool:  # type: ignore[override]
        """Whether none of its parts ever suspends."""
        return all(part.inline for part in self.parts)

    @property
    def shared(self) -> bool:  # type: ignore[override]
        """Whether other processes can see what is in any of its parts."""
        return any(part.shared for part in self.parts)

    @property
    def job_ids(self) -> JobIdRule:
        """The rule of its children, or the widest that all of them fit in."""
        rules = [child.repo.job_ids for child in self.children]
        if all(rule is rules[0] for rule in rules):
            return rules[0]
        inner = "".join(sorted(set().union(*(rule.charset for rule in rules))))
        ends = "".join(sorted(set().union(*(rule.charset_start_end for rule in rules))))
        return JobIdRule.of(inner, ends)

    async def keys(self) -> Set[str]:
        """Compute the keys from one listing of each child."""
        answers = await map_bounded(_ask, self.children, inline=self.inline)
        return await self.narrow(self.combine(answers))

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        """Yield every key."""
        for key in await self.keys():
            yield key


async def _ask(child: Child) -> Any:
    return await (child.repo.items() if child.items else child.repo.keys())


class _Aggregate(Combinator):
    """What AND and OR share: named children, asked and deleted from together."""

    def __init__(self, /, **children: Repository) -> None:
        if not children:
            raise ConfigurationError(
                f"{type(self).__name__}() has no children", fix="name at least one: (a=repository, b=repository)"
            )
        for name, repo in children.items():
            if not isinstance(repo, Repository):
                raise ConfigurationError(f"{type(self).__name__}: {name!r} is {type(repo).__name__}, not a repository")
        self._children = tuple(Child(repo, name) for name, repo in children.items())

    @property
    def children(self) -> tuple[Child, ...]:
        """The named repositories."""
        return self._children

    async def _ask_children(self, ask: Callable[[Repository], Awaitable[Any]]) -> list[Any]:
        return await map_bounded(lambda child: ask(child.repo), self._children, inline=self.inline)

    async def info(self, job: str) -> dict[str, Any]:
        """Return each child's info under its name."""
        infos = await self._ask_children(lambda repo: repo.info(job))
        return {child.name: info for child, info in zip(self._children, infos, strict=True)}

    async def delete(self, job: str) -> None:
        """Delete `job` from every child."""
        await self._ask_children(lambda repo: repo.delete(job))

    def __repr__(self) -> str:
        inside = ", ".join(f"{child.name}={child.repo!r}" for child in self._children)
        return f"{type(self).__name__}({inside})"


class AggregateOrRepository(_Aggregate):
    """A repository that contains what any of its children contains."""

    def combine(self, answers: Sequence[Any]) -> Set[str]:
        """Unite the children's keys."""
        first: Set[str] = answers[0]
        return first if len(answers) == 1 else set().union(*answers)

    async def contains(self, item: str) -> bool:
        """Tell whether any child contains the job."""
        return any(await self._ask_children(lambda repo: repo.contains(item)))

    async def present(self, jobs: Collection[str]) -> set[str]:
        """Return those of `jobs` that any child contains."""
        return set().union(*await self._ask_children(lambda repo: repo.present(jobs)))


class AggregateAndRepository(_Aggregate):
    """A repository that contains what all of its children contain."""

    def combine(self, answers: Sequence[Any]) -> Set[str]:
        """Intersect the children's keys."""
        smallest, *others = sorted(answers, key=len)
        return smallest if not others else set(smallest).intersection(*others)

    async def contains(self, item: str) -> bool:
        """Tell whether all children contain the job."""
        return all(await self._ask_children(lambda repo: repo.contains(item)))

    async def present(self, jobs: Collection[str]) -> set[str]:
        """Return those of `jobs` that all children contain."""
        return set.intersection(*await self._ask_children(lambda repo: repo.present(jobs)))


class BlockingRepository(Combinator):
    """A repository that contains what `source` contains and `unless` does not.

    :param enumerate_unless: whether `unless` is listed; if not, it is asked for each job of `source`.
    """

    def __init__(self, source: Repository, unless: Repository, enumerate_unless: bool = True) -> None:
        self.source = source
        self.unless = unless
        self.enumerate_unless = enumerate_unless

    @property
    def children(self) -> tuple[Child, ...]:
        """`source` and, where it is listed, `unless`."""
        source = Child(self.source, "source")
        return (source, Child(self.unless, "unless")) if self.enumerate_unless else (source,)

    @property
    def parts(self) -> tuple[Repository, ...]:
        """`source` and `unless`."""
        return (self.source, self.unless)

    def combine(self, answers: Sequence[Any]) -> Set[str]:
        """Subtract `unless` from `source`."""
        source: Set[str] = answers[0]
        return source - answers[1] if len(answers) == 2 else source

    async def narrow(self, keys: Set[str]) -> Set[str]:
        """Drop the keys that an unlisted `unless` holds."""
        return keys if self.enumerate_unless else keys - await self.unless.present(keys)

    async def contains(self, item: str) -> bool:
        """Tell whether `source` contains the job and `unless` does not."""
        return await self.source.contains(item) and not await self.unless.contains(item)

    async def present(self, jobs: Collection[str]) -> set[str]:
        """Return those of `jobs` that `source` contains and `unless` does not."""
        there = await self.source.present(jobs)
        return there - await self.unless.present(there)

    async def info(self, job: str) -> Any:
        """Return the info of `source`."""
        return await self.source.info(job)

    async def delete(self, job: str) -> None:
        """Delete the job from `source`."""
        await self.source.delete(job)

    def __repr__(self) -> str:
        return f"BlockingRepository({self.source!r}, unless={self.unless!r})"
