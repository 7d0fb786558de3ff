"""`pdt retry`: forgetting that jobs failed, so that they run again."""

from __future__ import annotations

from collections.abc import Iterable

from ...concurrency import map_bounded
from ...errors import ConfigurationError
from ...pipeline import Pipeline
from ...repository.base import MetadataRepository
from ...task.base import Task
from .. import exits, output
from ..ask import confirm, is_attended
from ..cause import cause_of
from ..failed import Failure, failures_of, record_of
from ..jobs import resolve_jobs, unknown_job
from ..known import keys_of
from ..names import find_task
from ..oserrors import doing

__all__ = ["retry"]

MOST_NAMED = 5


async def retry(
    pipeline: Pipeline,
    *,
    task: str | None = None,
    jobs: list[str],
    failed: bool = False,
    dry_run: bool = False,
    yes: bool = False,
) -> int:
    """Remove the records of failed jobs, and print each with why it had failed; on a terminal, ask before.

    :param task: Optional: the task's name.
    :param jobs: job ids, globs over the jobs that failed, or - for those on stdin.
    :param failed: whether all are meant that failed, of the task or of every one.
    :param dry_run: whether only to print what would be forgotten.
    :param yes: whether not to ask.
    """
    if failed and jobs:
        raise ConfigurationError("both all that failed and some jobs were named", fix="leave out one of them")
    if not failed and not jobs:
        which = f"{task} " if task is not None else ""
        raise ConfigurationError(
            "no job was named", fix=f"pdt retry {which or 'TASK '}JOB..., or pdt retry {which}--failed"
        )
    chosen = pipeline.tasks.values() if task is None else [find_task(pipeline, task)]
    found, broken = await failures_of(chosen)
    others: list[str] = []
    if jobs:
        (only,) = chosen
        by_job = {failure.job for failure in found}
        named = await resolve_jobs(jobs, [link.repo for link in only.links.values()], lambda: _same(by_job))
        found = [failure for failure in found if failure.job in named]
        others = [job for job in named if job not in by_job]
    if len(found) > 1 and not (dry_run or yes) and is_attended():
        some = " ".join(failure.job for failure in found[:MOST_NAMED]) + (" ..." if len(found) > MOST_NAMED else "")
        output.note(some)
        confirm(f"Forget that {output.counted(len(found), 'job')} failed?")
    if not dry_run:
        await _forget(found)
    for failure in found:
        output.write(output.printable(f"{failure.task.name} {failure.job}: {cause_of(failure.record)}") + "\n")
    output.flush()
    for error in broken:
        output.fail(error.message, error.fix)
    status = await _explain_others(pipeline, chosen, others)
    if not found and not others:
        output.note("no job has failed")
    elif found and not dry_run:
        output.note(f"{output.counted(len(found), 'job')} to be run again, by the next pdt run or the one that goes on")
    return exits.BACKEND if broken else status


async def _same(keys: set[str]) -> set[str]:
    return keys


async def _forget(found: list[Failure]) -> None:
    by_repo: dict[MetadataRepository, list[str]] = {}
    for failure in found:
        by_repo.setdefault(failure.repo, []).append(failure.job)
    for repo, jobs in by_repo.items():
        with doing(f"removing from {repo!r}"):
            await map_bounded(repo.delete, jobs, inline=repo.inline)


async def _explain_others(pipeline: Pipeline, tasks: Iterable[Task], jobs: list[str]) -> int:
    """Say of jobs why there is nothing to forget of them, and return the exit status of that."""
    if not jobs:
        return exits.OK
    status = exits.FAILURE
    (task,) = tasks
    everything = await keys_of(pipeline.repositories)
    for job in jobs:
        if job not in everything:
            error = unknown_job(job, everything, "this pipeline")
            output.fail(error.message, error.fix)
            status = exits.NOT_FOUND
        elif await record_of(task, job) is not None:
            output.note(f"{job} has succeeded in {task.name}: its record stays; pdt rm {task.name} {job} removes it")
        else:
            output.note(f"{job} has not failed in {task.name}: pdt why {task.name} {job} says what it waits for")
    return status
