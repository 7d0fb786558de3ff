"""`pdt rm`: deleting jobs from a repository, from what a task writes, or from all that depends on it."""

from __future__ import annotations

from typing import NamedTuple

from ...concurrency import map_bounded
from ...errors import ConfigurationError
from ...link import Link
from ...pipeline import Pipeline
from ...repository.base import Repository
from ...task.base import Task
from .. import exits, output
from ..ask import confirm, is_attended
from ..jobs import resolve_jobs, unknown_job
from ..listing import list_repositories, members
from ..names import find_link, find_task
from ..oserrors import doing

__all__ = ["rm"]

EVERY = "__all__"


class _Target(NamedTuple):
    repo: Repository
    jobs: list[str]


async def rm(
    pipeline: Pipeline,
    *,
    data: str,
    jobs: list[str],
    recursive: bool = False,
    everything: bool = False,
    dry_run: bool = False,
    yes: bool = False,
) -> int:
    """Delete jobs and print each with the repository that it was in; on a terminal, ask before.

    :param data: a link, or a task for all that it writes.
    :param jobs: job ids, globs, - for those on stdin, or "__all__".
    :param recursive: whether to delete from everything that depends on it, too.
    :param everything: whether every job is meant.
    :param dry_run: whether only to print what would be deleted.
    :param yes: whether not to ask.
    """
    node = find_link(pipeline, data).repo if "." in data else find_task(pipeline, data)
    repos = _repositories(pipeline, node, recursive)
    if everything or jobs[:1] == [EVERY]:
        if jobs not in ([], [EVERY]):
            raise ConfigurationError("both every job and some jobs were named", fix="leave out one of them")
        listing = await list_repositories(repos)
        targets = [_Target(repo, sorted(listing.require(repo))) for repo in repos]
        unknown = []
    elif jobs:
        named = await resolve_jobs(jobs, repos, lambda: _keys(repos))
        with doing(f"looking for jobs in {data}"):
            held = {repo: await members(repo, named) for repo in repos}
        targets = [_Target(repo, [job for job in named if job in held[repo]]) for repo in repos]
        unknown = [job for job in named if not any(job in jobs for jobs in held.values())]
    else:
        raise ConfigurationError("no job was named", fix=f"pdt rm {data} JOB..., or pdt rm {data} --all")
    targets = [target for target in targets if target.jobs]
    if targets and not (dry_run or yes):
        _ask(targets)
    status = exits.OK
    for target in targets:
        removed = target.jobs if dry_run else await _delete(target)
        output.write("".join(f"{job} {target.repo!r}\n" for job in removed))
        if len(removed) < len(target.jobs) and target.repo is node:
            output.fail(
                f"{target.repo!r} still holds {len(target.jobs) - len(removed)} of the jobs",
                "it is computed, or does not delete: remove them from what it is made of",
            )
            status = exits.FAILURE
    output.flush()
    if unknown:
        keys = await _keys(repos)
        for job in unknown:
            error = unknown_job(job, keys, data)
            output.fail(error.message, error.fix)
        status = exits.NOT_FOUND
    return status


def _repositories(pipeline: Pipeline, node: Repository | Task, recursive: bool) -> list[Repository]:
    if recursive:
        # What is computed from other repositories has no data of its own.
        found = [repo for repo in pipeline.dependants(node, recursive=True) if isinstance(repo, Repository)]
        return [repo for repo in found if repo is node or not repo.children]
    if isinstance(node, Repository):
        return [node]
    return list(dict.fromkeys(link.repo for link in node.links.values() if _is_written(link)))


def _is_written(link: Link) -> bool:
    """Tell whether the graph has an edge from the task to the linked repository."""
    is_read = link.is_input or link.required_for_start or link.inhibits_start
    return not is_read or link.is_output or link.is_status


async def _keys(repos: list[Repository]) -> set[str]:
    listing = await list_repositories(repos)
    return set().union(*(listing.require(repo) for repo in repos))


async def _delete(target: _Target) -> list[str]:
    """Delete, and return the jobs that are gone."""
    with doing(f"removing from {target.repo!r}"):
        await map_bounded(target.repo.delete, target.jobs, inline=target.repo.inline)
        left = await members(target.repo, target.jobs)
    return [job for job in target.jobs if job not in left]


def _ask(targets: list[_Target]) -> None:
    """Ask on a terminal whether to go on.

    :raises Aborted: if not.
    """
    if not is_attended():
        return
    count = sum(len(target.jobs) for target in targets)
    for target in targets:
        some = " ".join(target.jobs[:5]) + (" ..." if len(target.jobs) > 5 else "")
        output.note(f"{target.repo!r}: {output.counted(len(target.jobs), 'job')} ({some})")
    confirm(f"Delete {output.counted(count, 'job')}?")
