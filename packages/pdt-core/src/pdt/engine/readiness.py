"""Which jobs may start, as set algebra over a snapshot; and, for one job, the proof of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..repository.base import Repository
from .snapshot import ListingError, Snapshot
from .verdict import Lookup, Verdict, VerdictKind

if TYPE_CHECKING:
    from ..task.base import Task

__all__ = ["Readiness", "judge", "ready_jobs", "writers_of"]

DEEPEST_PROOF = 12
WIDEST_PROOF = 20


@dataclass(frozen=True)
class Readiness:
    """What a snapshot says of one task.

    :param jobs: the jobs that may start.
    :param skipped: keys that would, were they valid job ids.
    :param failure: why nothing is known, where a listing failed.
    """

    jobs: Set[str] = field(default_factory=frozenset)
    skipped: Set[str] = field(default_factory=frozenset)
    failure: ListingError | None = None


def ready_jobs(task: Task, ready: Repository, snapshot: Snapshot, busy: Set[str] = frozenset()) -> Readiness:
    """Compute the jobs of `task` that may start: in everything required, in nothing that inhibits.

    :param ready: the task's ready repository, as it was when the snapshot was taken.
    :param busy: jobs that were in flight at any time since the snapshot was begun, whatever the listings say.
    """
    if task.disabled:
        return Readiness()
    try:
        keys = snapshot.keys_of(ready)
    except ListingError as error:
        return Readiness(failure=error)
    jobs = keys - busy if busy else keys
    rule = ready.job_ids
    if rule.accepts_all(jobs):
        return Readiness(jobs)
    skipped = {key for key in jobs if not rule.accepts(key)}
    return Readiness(jobs - skipped, skipped)


def judge(
    task: Task,
    job: str,
    ready: Repository | None,
    snapshot: Snapshot,
    writers: Mapping[Repository, Sequence[str]],
    busy: Set[str] = frozenset(),
) -> Verdict:
    """Say of one job what `ready_jobs` says of all, and prove it.

    :param ready: the task's ready repository, as it was when the snapshot was taken; None if it is disabled.
    :param writers: the tasks that write to each repository.
    """

    def verdict(kind: VerdictKind, reason: str, link: str | None = None, proof: tuple[Lookup, ...] = ()) -> Verdict:
        return Verdict(task.name, job, kind, reason, link=link, proof=proof)

    if task.disabled or ready is None:
        return verdict(VerdictKind.DISABLED, f"task {task.name} is disabled")
    if not ready.job_ids.accepts(job):
        return verdict(VerdictKind.INVALID, f"it is not a valid job id: {ready.job_ids.reason(job)}")
    if job in busy:
        return verdict(VerdictKind.RUNNING, "it is running")
    try:
        present = job in snapshot.keys_of(ready)
    except ListingError as error:
        return verdict(VerdictKind.BLOCKED, str(error))
    if present:
        return verdict(VerdictKind.READY, "everything that it requires is there, and nothing inhibits it")
    prove = _Prover(snapshot, writers).prove
    if task.has_ready_override:
        proof = prove("ready", ready, job)
        return verdict(VerdictKind.MISSING, "it is not in the task's ready repository", "ready", (proof,))
    for name, repo in task.required_for_start.items():
        if job not in snapshot.keys_of(repo):
            proof = prove(name, repo, job)
            return verdict(VerdictKind.MISSING, _missing(name, proof), name, (proof,))
    for name, repo in task.inhibits_start.items():
        if job in snapshot.keys_of(repo):
            proof = prove(name, repo, job)
            return verdict(VerdictKind.INHIBITED, f"{name} holds it ({repo!r})", name, (proof,))
    raise AssertionError(f"{ready!r} is neither AND of what is required nor without what inhibits")


def _missing(link: str, proof: Lookup) -> str:
    """Say which key is missing, down to the repository that lacks it."""
    deepest = proof
    while (below := next((step for step in deepest.because if step.present is False), None)) is not None:
        deepest = below
    key = f"key {deepest.key!r}" if deepest.key != proof.key else "it"
    where = f"{link} waits: {deepest.repository} lacks {key}"
    return f"{where}, which {' or '.join(deepest.writers)} would write" if deepest.writers else where


class _Prover:
    """Follows a key down to the listings that decide where it is."""

    def __init__(self, snapshot: Snapshot, writers: Mapping[Repository, Sequence[str]]) -> None:
        self._snapshot = snapshot
        self._writers = writers

    def prove(self, link: str, repo: Repository, key: str, depth: int = 0) -> Lookup:
        """Return whether `key` is in `repo`, and the steps that decide it."""
        try:
            known = self._snapshot.items if repo in self._snapshot.items else self._snapshot.keys
            present = key in known[repo] if repo in known else key in self._snapshot.keys_of(repo)
        except ListingError:
            present = None
        because = self._steps_below(repo, key, depth) if repo.children and depth < DEEPEST_PROOF else ()
        return Lookup(link, repr(repo), key, present, tuple(self._writers.get(repo, ())), because)

    def _steps_below(self, repo: Repository, key: str, depth: int) -> tuple[Lookup, ...]:
        try:
            lookups = repo.lookups(key, self._snapshot.answers(repo))[:WIDEST_PROOF]
        except ListingError:
            return ()  # it answered as a whole, so that what it is made of was not asked
        children = [repo.children[index] for index, _ in lookups]
        keys = [below for _, below in lookups]
        return tuple(
            self.prove(child.name, child.repo, below, depth + 1) for child, below in zip(children, keys, strict=True)
        )


def writers_of(tasks: Sequence[Task]) -> dict[Repository, list[str]]:
    """Return the names of the tasks that write to each repository."""
    writers: dict[Repository, list[str]] = {}
    for task in tasks:
        for link in task.links.values():
            if link.is_output or link.is_status:
                writers.setdefault(link.repo, []).append(task.name)
    return writers
