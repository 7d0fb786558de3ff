"""Listings for commands: each repository is asked once, and one that fails takes no other with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set

from ..engine.snapshot import Lister, ListingError, Snapshot
from ..errors import BackendError
from ..repository.base import Repository
from .oserrors import fix_of_text

__all__ = ["Listing", "list_repositories", "members"]


class Listing:
    """What one look at some repositories found.

    :param snapshot: the answers of those that were asked.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._failures: dict[Repository, str] = {}
        self._overlooked: dict[Repository, Mapping[str, str]] = {}
        self._keys: dict[Repository, Set[str]] = {}

    def keys(self, repo: Repository) -> Set[str] | None:
        """Return the valid keys of a repository, or None if it could not be listed."""
        if repo in self._failures:
            return None
        if repo not in self._keys:
            try:
                found = self.snapshot.keys_of(repo)
                rule = repo.job_ids
                self._keys[repo] = found if rule.accepts_all(found) else set(filter(rule.accepts, found))
            except ListingError as error:
                self._failures[repo] = error.reason if error.repo is repo else str(error)
                return None
            except Exception as error:  # a stranger's repository may raise anything
                self._failures[repo] = f"{type(error).__name__}: {error}"
                return None
        return self._keys[repo]

    def failure(self, repo: Repository) -> str | None:
        """Return why a repository could not be listed, or None if it was."""
        self.keys(repo)
        return self._failures.get(repo)

    async def look_closely(self) -> None:
        """Find out what lies in the listed repositories like a job and is none."""
        for repo in self.snapshot.keys:
            try:
                self._overlooked[repo] = await repo.overlooked()
            except Exception as error:  # its keys are known all the same
                self._overlooked[repo] = {"?": f"it could not be looked at: {type(error).__name__}: {error}"}

    def skipped(self, repo: Repository) -> dict[str, str]:
        """Return the keys of a repository that are no job ids, each with the rule that it breaks.

        After `look_closely`, also what lies there like a job and is none.
        """
        valid = self.keys(repo)
        if valid is None:
            return {}
        strange = self.snapshot.keys_of(repo) - valid
        reasons = {key: repo.job_ids.reason(key) for key in strange}
        reasons.update(self._overlooked.get(repo, {}))
        return {key: reasons[key] for key in sorted(reasons, key=ascii)}

    def require(self, repo: Repository) -> Set[str]:
        """Return the valid keys of a repository.

        :raises BackendError: if it could not be listed.
        """
        keys = self.keys(repo)
        if keys is None:
            message, _, fix = self._failures[repo].partition("\nfix: ")
            raise BackendError(f"{repo!r} could not be listed: {message}", fix=fix or fix_of_text(message))
        return keys


async def list_repositories(repos: Iterable[Repository]) -> Listing:
    """List repositories, each once, those that take long side by side."""
    lister = Lister(lambda repo, error: None)
    return Listing(await lister.take(list(dict.fromkeys(repos)), frozenset()))


async def members(repo: Repository, jobs: Collection[str]) -> set[str]:
    """Return those of `jobs` that a repository holds, without listing it for each of them."""
    if type(repo).contains is Repository.contains and type(repo).present is Repository.present:
        return set(jobs) & (await list_repositories([repo])).require(repo)
    return set(await repo.present([job for job in jobs if repo.job_ids.accepts(job)]))
