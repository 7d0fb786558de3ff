"""`pdt cat`: what a repository holds for a job."""

from __future__ import annotations

from typing import Any

from ...errors import ConfigurationError
from ...pipeline import Pipeline
from ...repository.base import BlobRepository, MetadataRepository, Repository
from .. import exits, output
from ..jobs import is_glob, resolve_jobs, unknown_job
from ..listing import list_repositories, members
from ..names import LinkName, find_link

__all__ = ["cat"]

BLOCK = 64 * 1024


async def cat(pipeline: Pipeline, *, data: str, jobs: list[str], form: str | None = None) -> int:
    """Print the blobs of jobs as they are, one after the other, or their records as YAML.

    :param data: a link, as "task.link".
    :param jobs: job ids, globs, or - for those on stdin.
    :param form: Optional: table, json, jsonl, yaml or name.
    :raises NotFoundError: if a job is not there; nothing is printed then.
    """
    link = find_link(pipeline, data)
    repo = link.repo
    if not isinstance(repo, BlobRepository | MetadataRepository):
        raise ConfigurationError(
            f"{link} holds neither blobs nor records: {repo!r}", fix=f"see its keys with: pdt ls {link}"
        )

    async def keys() -> set[str]:
        return set((await list_repositories([repo])).require(repo))

    found = await resolve_jobs(jobs, [repo], keys)
    there = await members(repo, found)
    for job in found:
        if job not in there:
            raise unknown_job(job, await keys(), str(link))
    is_one = len(jobs) == 1 and jobs != ["-"] and not is_glob(jobs[0])
    if form is not None:
        await _print_values(link, found, form, is_one=is_one)
    elif isinstance(repo, BlobRepository):
        for job in found:
            await _copy(repo, job)
    else:
        for job in found:
            if not is_one:
                output.write("---\n")
            output.emit_value(await repo.info(job), "yaml")
    return exits.OK


async def _copy(repo: BlobRepository, job: str) -> None:
    async with repo.open(job, "rb") as stream:
        while block := await stream.read(BLOCK):
            output.write_bytes(block)


async def _print_values(link: LinkName, jobs: list[str], form: str, *, is_one: bool) -> None:
    if form == "name":
        output.write("".join(f"{job}\n" for job in jobs))
        return
    if is_one and form in ("json", "yaml"):
        output.emit_value(await _value(link.repo, jobs[0]), form)
        return
    rows = [{"job": job, "value": await _value(link.repo, job)} for job in jobs]
    output.emit(rows, form, ("job", "value"), "job")


async def _value(repo: Repository, job: str) -> Any:
    """Return a record as it is, and a blob as text."""
    if isinstance(repo, MetadataRepository):
        return await repo.info(job)
    assert isinstance(repo, BlobRepository)  # noqa: S101  `cat` saw it
    async with repo.open(job, "rb") as stream:
        return await stream.read()
