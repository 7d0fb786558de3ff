"""`pdt cat`: what a repository holds for a job."""

from __future__ import annotations

from typing import Any

from ...errors import ConfigurationError
from ...pipeline import Pipeline
from ...repository.base import BlobRepository, MetadataRepository
from .. import exits, output
from ..jobs import is_glob, resolve_jobs, unknown_job
from ..listing import list_repositories, members
from ..names import LinkName, find_link
from ..oserrors import doing

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
    with doing(f"looking for jobs in {link}"):
        there = await members(repo, found)
    for job in found:
        if job not in there:
            raise unknown_job(job, await keys(), str(link))
    is_one = len(jobs) == 1 and jobs != ["-"] and not is_glob(jobs[0])
    if form is not None:
        await _print_values(link, found, form, is_one=is_one)
    else:
        for job in found:
            if isinstance(repo, MetadataRepository):
                await _print_record(link, job, is_one=is_one)
            else:
                await _copy(link, job)
    return exits.OK


async def _print_record(link: LinkName, job: str, *, is_one: bool) -> None:
    """Print a record as YAML, as it is written if it is kept so, and tell it from others of the stream."""
    record = await _value(link, job)
    text = await _content(link, job) if isinstance(link.repo, BlobRepository) else b""
    if not is_one and not text.startswith(b"---"):
        output.write("---\n")
    if not text or (not is_one and text.startswith(b"%")):  # a directive may stand before the first only
        output.emit_value(record, "yaml")
        return
    output.write_bytes(text)
    if not text.endswith(b"\n"):
        output.write("\n")


async def _copy(link: LinkName, job: str) -> None:
    assert isinstance(link.repo, BlobRepository)  # noqa: S101  `cat` saw it
    with doing(f"reading {job!r} of {link}"):
        async with link.repo.open(job, "rb") as stream:
            while block := await stream.read(BLOCK):
                output.write_bytes(block)


async def _print_values(link: LinkName, jobs: list[str], form: str, *, is_one: bool) -> None:
    if form == "name":
        output.write("".join(f"{job}\n" for job in jobs))
        return
    if is_one and form in ("json", "yaml"):
        output.emit_value(await _value(link, jobs[0]), form)
        return
    rows = [{"job": job, "value": await _value(link, job)} for job in jobs]
    output.emit(rows, form, ("job", "value"), "job")


async def _value(link: LinkName, job: str) -> Any:
    """Return a record as it is, and a blob as text."""
    if not isinstance(link.repo, MetadataRepository):
        return await _content(link, job)
    with doing(f"reading {job!r} of {link}"):
        return await link.repo.info(job)


async def _content(link: LinkName, job: str) -> bytes:
    assert isinstance(link.repo, BlobRepository)  # noqa: S101  `cat` saw it
    with doing(f"reading {job!r} of {link}"):
        async with link.repo.open(job, "rb") as stream:
            return await stream.read()
