"""The last question before a job starts: whether something inhibits it by now, since listings may overlap its end."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from datetime import datetime

from ..repository.base import Repository
from ..task.base import Task
from ..task.tracked import TrackedTask
from .snapshot import leaves_of

__all__ = ["deciders", "ended_since", "still_ready"]


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


async def ended_since(task: TrackedTask, jobs: Collection[str], moment: datetime) -> set[str]:
    """Return those of `jobs` whose end was recorded after a moment; another controller may have run them."""
    ended = set()
    for repo in filter(None, (task.done, task.failed)):
        for job in await repo.present(jobs):
            end = (await repo.info(job)).get("end_time")
            if isinstance(end, datetime) and end > moment:
                ended.add(job)
    return ended
