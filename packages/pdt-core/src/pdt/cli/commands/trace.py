"""`pdt trace`: which of some jobs each link has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...pipeline import Pipeline
from ...repository.base import Repository
from .. import exits, output
from ..jobs import resolve_jobs, unknown_job
from ..known import keys_of
from ..listing import members
from ..names import links_of
from ..oserrors import fix_of_text

__all__ = ["trace"]

COLUMNS = ("task", "link", "jobs", "problem")


async def trace(pipeline: Pipeline, *, jobs: list[str], all_repos: bool = False, form: str | None = None) -> int:
    """Print which of the jobs each link has; as names, only the links that have any.

    :param jobs: job ids, globs, or - for those on stdin.
    :param all_repos: also links that are neither input, output nor status.
    :param form: Optional: table, json, jsonl, yaml or name.
    """
    links = links_of(pipeline, all_repos)
    repos = list(dict.fromkeys(link.repo for link in links))
    jobs = await resolve_jobs(jobs, repos, lambda: keys_of(repos))
    found: dict[Repository, set[str]] = {}
    problems: dict[Repository, str] = {}
    for repo in repos:
        try:
            found[repo] = await members(repo, jobs)
        except Exception as error:  # one link's store may fail without taking the others along
            problems[repo] = f"{type(error).__name__}: {error}"
    rows = [
        {
            "name": str(link),
            "task": link.task.name,
            "link": link.name,
            "jobs": [job for job in jobs if job in found[link.repo]] if link.repo in found else None,
            "problem": problems.get(link.repo),
        }
        for link in links
    ]
    if form is None:
        _print_text(pipeline, rows)
    else:
        output.emit([row for row in rows if row["jobs"]] if form == "name" else rows, form, COLUMNS, "name")
    output.flush()
    for repo, problem in problems.items():
        output.fail_with(f"{repo!r} could not be asked: {problem}", fix_of_text(problem))
    unknown = [job for job in jobs if not any(job in keys for keys in found.values())]
    if unknown and not problems:
        everything = await keys_of(repos)
        for job in unknown:
            unknown_error = unknown_job(job, everything, "any link of this pipeline")
            output.fail(unknown_error.message, unknown_error.fix)
    if problems:
        return exits.BACKEND
    return exits.NOT_FOUND if unknown else exits.OK


def _print_text(pipeline: Pipeline, rows: Sequence[Mapping[str, object]]) -> None:
    for task in pipeline.tasks:
        output.write(f"{task}\n")
        for row in rows:
            if row["task"] == task:
                jobs = row["jobs"]
                output.write(f"{row['name']} {' '.join(jobs) if isinstance(jobs, list) else '?'}\n")
        output.write("\n")
