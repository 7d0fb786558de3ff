"""The last question before a job starts: whether something inhibits it by now, since listings may overlap its end."""

from __future__ import annotations

from collections.abc import Sequence, Set

from ..repository.base import Repository
from ..task.base import Task
from .snapshot import leaves_of

__all__ = ["deciders", "still_ready"]


def deciders(task: Task, transient: Set[Repository]) -> list[Repository]:
    """Return the repositories that are asked about a job before it starts, in their order.

    :param transient: what jobs leave when they end: as in a look, it comes before what they enter.
    """
    if task.has_ready_override:
        return [task.ready]
    return sorted(task.inhibits_start.values(), key=lambda repo: transient.isdisjoint(leaves_of([repo])))


async def still_ready(task: Task, jobs: Sequence[str], transient: Set[Repository]) -> set[str]:
    """Return those of `jobs` that may start still."""
    if task.has_ready_override:
        return await task.ready.present(jobs)
    ready = set(jobs)
    for repo in deciders(task, transient):
        ready -= await repo.present(jobs)
    return ready
