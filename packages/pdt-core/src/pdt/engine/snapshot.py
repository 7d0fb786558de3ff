"""One listing of each repository, shared by everything that a round decides."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..repository.base import Repository

if TYPE_CHECKING:
    import asyncio

    from ..task.base import Task

__all__ = ["Lister", "ListingError", "Remembered", "Snapshot", "leaves_of", "transient_leaves"]

#: The last listing of each repository that can tell whether it has changed, with the stamp from before it.
Remembered = dict[Repository, tuple[Hashable, Set[str]]]

#: Seconds after which a round goes on without a listing that is still under way.
LISTING_PATIENCE = 10.0


class ListingError(Exception):
    """A repository could not be listed, so nothing is known of what depends on it.

    :param repo: the repository.
    :param reason: what went wrong.
    """

    def __init__(self, repo: Repository, reason: str) -> None:
        super().__init__(f"cannot list {repo!r}: {reason}")
        self.repo = repo
        self.reason = reason


@dataclass
class Snapshot:
    """The answers of one round, by repository; what is computed from them is computed once.

    :param keys: the keys of each listed repository.
    :param items: the infos of each repository whose infos were needed.
    :param failures: the repositories that could not be listed, and why.
    """

    keys: dict[Repository, Set[str]] = field(default_factory=dict)
    items: dict[Repository, Mapping[str, Any]] = field(default_factory=dict)
    failures: dict[Repository, str] = field(default_factory=dict)

    def answers(self, repo: Repository) -> list[Any]:
        """Return what the children of a combined repository answered.

        :raises ListingError: if one of them could not be listed.
        """
        return [self._items_of(child.repo) if child.items else self.keys_of(child.repo) for child in repo.children]

    def keys_of(self, repo: Repository) -> Set[str]:
        """Return the keys of any repository, combined ones computed from their children.

        :raises ListingError: if one that it depends on could not be listed.
        """
        found = self.keys.get(repo)
        if found is None:
            if not repo.children or repo in self.failures:
                raise ListingError(repo, self.failures.get(repo, "it was not listed"))
            found = self.keys[repo] = repo.combine(self.answers(repo))
        return found

    def _items_of(self, repo: Repository) -> Mapping[str, Any]:
        found = self.items.get(repo)
        if found is None:
            raise ListingError(repo, self.failures.get(repo, "it was not listed"))
        return found


def leaves_of(repos: Iterable[Repository]) -> dict[Repository, bool]:
    """Return every repository that has to be asked for the keys of `repos`, and whether for its infos as well."""
    found: dict[Repository, bool] = {}
    waiting = [(repo, False) for repo in repos]
    seen = set(waiting)
    while waiting:
        repo, items = waiting.pop()
        if items or not repo.children:
            found[repo] = found.get(repo, False) or items
        if not items:
            below = {(child.repo, child.items) for child in repo.children} - seen
            seen |= below
            waiting += below
    return found


def transient_leaves(tasks: Iterable[Task]) -> set[Repository]:
    """Return the repositories that jobs leave when they end, such as live: they are listed before the others."""
    return set(leaves_of(repo for task in tasks for repo in task.inhibits_output.values()))


class Lister:
    """Takes snapshots; remembers listings whose repository can tell that nothing has changed.

    :param report: called with a repository and what went wrong when it could not be listed.
    :param remembered: Optional: the listings that other listers of the pipeline took, each with its stamp.
    """

    def __init__(
        self, report: Callable[[Repository, BaseException], None], remembered: Remembered | None = None
    ) -> None:
        self._report = report
        self._remembered: Remembered = {} if remembered is None else remembered
        #: The listings that have not returned, and when each began.
        self.under_way: dict[Repository, tuple[float, asyncio.Task[Any]]] = {}
        self.retry_at: dict[Repository, float] = {}
        self._failed: dict[Repository, str] = {}

    async def take(self, wanted: Iterable[Repository], first: Set[Repository]) -> Snapshot:
        """List what `wanted` depends on: what is in `first` before the rest, the rest at once."""
        snapshot = Snapshot()
        wanted = list(wanted)
        leaves = leaves_of(wanted)
        for group in (
            [leaf for leaf in leaves if leaf in first],
            [leaf for leaf in leaves if leaf not in first],
        ):
            await self._list(group, leaves, snapshot)
        await self._narrow(wanted, snapshot)
        return snapshot

    async def _list(self, group: list[Repository], leaves: dict[Repository, bool], snapshot: Snapshot) -> None:
        waiting = []
        for repo in group:
            if self.retry_at.get(repo, 0.0) > time.monotonic():
                snapshot.failures[repo] = self._failed[repo]
            elif repo.inline:
                try:
                    self._keep(repo, leaves[repo], await self._ask(repo, leaves[repo]), snapshot)
                except Exception as error:
                    self._fail(repo, error, snapshot)
            else:
                waiting.append(repo)
        if waiting:
            await self._list_together(waiting, leaves, snapshot)

    async def _ask(self, repo: Repository, items: bool) -> Any:
        if items:
            infos = await repo.items()
            if not isinstance(infos, Mapping):
                raise TypeError(f"{type(repo).__name__}.items() returned {type(infos).__name__}, not a mapping")
            return infos
        stamp = repo.stamp()
        remembered = self._remembered.get(repo)
        if stamp is not None and remembered is not None and remembered[0] == stamp:
            return remembered[1]
        keys = await repo.keys()
        if not isinstance(keys, Set):
            raise TypeError(f"{type(repo).__name__}.keys() returned {type(keys).__name__}, not a set")
        if stamp is not None:
            self._remembered[repo] = (stamp, keys)
        return keys

    async def _list_together(self, group: list[Repository], leaves: dict[Repository, bool], snapshot: Snapshot) -> None:
        import asyncio

        now = time.monotonic()
        for repo in group:
            if repo not in self.under_way:
                # Not in a task group, which would wait for a listing that never ends.
                listing = asyncio.get_running_loop().create_task(self._ask(repo, leaves[repo]))
                self.under_way[repo] = (now, listing)
        asked = [self.under_way[repo] for repo in group]
        patient = [listing for since, listing in asked if now - since < LISTING_PATIENCE]
        if patient:
            await asyncio.wait(patient, timeout=LISTING_PATIENCE)
        for repo in group:
            since, listing = self.under_way[repo]
            if not listing.done():
                snapshot.failures[repo] = f"listing it has been under way for {time.monotonic() - since:.0f} s"
                continue
            del self.under_way[repo]
            if listing.cancelled():
                snapshot.failures[repo] = "listing it was cancelled"
            elif (error := listing.exception()) is not None:
                self._fail(repo, error, snapshot)
            else:
                self._keep(repo, leaves[repo], listing.result(), snapshot)

    def _keep(self, repo: Repository, items: bool, answer: Any, snapshot: Snapshot) -> None:
        self._failed.pop(repo, None)
        if items:
            snapshot.items[repo] = answer
            if not repo.children:
                snapshot.keys[repo] = answer.keys()
        else:
            snapshot.keys[repo] = answer

    def _fail(self, repo: Repository, error: BaseException, snapshot: Snapshot) -> None:
        snapshot.failures[repo] = self._failed[repo] = f"{type(error).__name__}: {error}"
        self._report(repo, error)

    async def _narrow(self, wanted: Iterable[Repository], snapshot: Snapshot) -> None:
        """Combine, and apply the conditions that have to be asked for, inner repositories first."""
        for repo in wanted:
            if repo in snapshot.keys or repo in snapshot.failures:
                continue
            await self._narrow([child.repo for child in repo.children if not child.items], snapshot)
            if repo.children:
                try:
                    snapshot.keys[repo] = await repo.narrow(snapshot.keys_of(repo))
                except ListingError:
                    continue
                except Exception as error:
                    snapshot.keys.pop(repo, None)
                    self._fail(repo, error, snapshot)

    async def close(self) -> None:
        """Stop the listings that are still under way."""
        import asyncio

        under_way = [listing for _, listing in self.under_way.values()]
        self.under_way.clear()
        for listing in under_way:
            listing.cancel()
        if under_way:
            await asyncio.wait(under_way)
