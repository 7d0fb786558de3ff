"""Whether there is such a job at all: one that is not ready is something else than one that is not there."""

from __future__ import annotations

from collections.abc import Iterable

from ..engine.verdict import Lookup, Verdict, VerdictKind
from ..errors import NotFoundError
from ..pipeline import Pipeline
from ..repository.base import Repository
from ..task.base import Task
from .jobs import unknown_job
from .listing import list_repositories

__all__ = ["keys_of", "unknown_jobs"]


async def keys_of(repos: Iterable[Repository]) -> set[str]:
    """Return the keys of all of these that can be listed."""
    repos = list(repos)
    listing = await list_repositories(repos)
    return set().union(*(listing.keys(repo) or () for repo in repos))


async def unknown_jobs(pipeline: Pipeline, task: Task, verdicts: Iterable[Verdict]) -> dict[str, NotFoundError]:
    """Return, with the error to print, each job that is nowhere in the pipeline, nor stands for others that are.

    :param verdicts: what the engine says of the jobs of `task`.
    """
    doubtful = [verdict.job for verdict in verdicts if not _is_known(verdict)]
    if not doubtful:
        return {}
    everything = await keys_of(pipeline.repositories)
    linked = await keys_of(link.repo for link in task.links.values())
    return {job: unknown_job(job, linked or everything, "this pipeline") for job in doubtful if job not in everything}


def _is_known(verdict: Verdict) -> bool:
    """Tell whether the verdict itself shows that there is such a job."""
    if verdict.kind in (VerdictKind.MISSING, VerdictKind.DISABLED):
        return any(_mentions(lookup) for lookup in verdict.proof)
    return True


def _mentions(lookup: Lookup) -> bool:
    """Tell whether a proof knows the key: it is somewhere, or stands for others, as a group does for its members."""
    return bool(lookup.present) or any(step.key != lookup.key or _mentions(step) for step in lookup.because)
