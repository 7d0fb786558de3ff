"""`pdt inject`: putting data into a repository, all of it or nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import IO, Any

from ...errors import ConfigurationError, CorruptRecordError, NotFoundError
from ...pipeline import Pipeline
from ...repository.base import BlobRepository, MetadataRepository, Repository
from ...repository.filesystem import FileRepositoryBase
from ...repository.yaml import RECORD_LIMIT, load_yaml
from .. import exits, output
from ..jobs import check_job
from ..names import LinkName, find_link
from ..oserrors import doing

__all__ = ["inject"]

BLOCK = 64 * 1024
Opener = Callable[[], IO[bytes]]


async def inject(
    pipeline: Pipeline,
    *,
    data: str,
    job: str | None = None,
    source: str | None = None,
    value: str | None = None,
    from_dir: str | None = None,
) -> int:
    """Store a blob as it is, or a record from YAML; what is not complete and right leaves nothing behind.

    :param data: a link, as "task.link".
    :param job: the job id; none with `from_dir`.
    :param source: Optional: the file to read; by default stdin.
    :param value: Optional: the data itself.
    :param from_dir: Optional: a directory whose files become one job each.
    """
    link = find_link(pipeline, data)
    repo = link.repo
    if not isinstance(repo, BlobRepository | MetadataRepository):
        raise ConfigurationError(
            f"{link} takes neither blobs nor records: {repo!r}", fix="name a link to a repository that holds data"
        )
    if from_dir is not None:
        if job is not None or source is not None or value is not None:
            raise ConfigurationError(
                "--from-dir names its jobs itself", fix="leave out the job id, the file and --value"
            )
        with doing(f"reading the directory {from_dir}"):
            sources = _files(from_dir, repo)
    elif job is None:
        raise ConfigurationError("no job id was given", fix=f"pdt inject {link} JOB [FILE]")
    elif value is not None and source is not None:
        raise ConfigurationError("both a file and --value were given", fix="give one of them")
    else:
        sources = {check_job(job, [repo]): _opener(source, value)}
    with doing(f"putting {'files' if from_dir is not None else repr(job)} into {link}"):
        await _store(link, sources)
    if from_dir is not None:
        output.note(f"{link}: {output.counted(len(sources), 'job')}")
    return exits.OK


def _opener(source: str | None, value: str | None) -> Opener:
    import io

    if value is not None:
        return lambda: io.BytesIO(value.encode("utf-8", "surrogateescape"))
    if source is None or source == "-":
        # Unbuffered: between the reads of a buffer, Ctrl-C would have to wait for more input.
        return lambda: open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)
    if not os.path.isfile(source):
        raise NotFoundError(f"there is no file {source}", fix="name one that is there, or - for stdin")
    return lambda: open(source, "rb")


def _files(directory: str, repo: Repository) -> dict[str, Opener]:
    """Return the files of a directory by the job that each becomes: its name without the extension.

    :raises ConfigurationError: if two become the same job, or there are none.
    :raises InvalidJobIdError: if one cannot become a job.
    """
    if not os.path.isdir(directory):
        raise NotFoundError(f"there is no directory {directory}", fix="name one that is there")
    extension = repo.extension if isinstance(repo, FileRepositoryBase) else ""
    found: dict[str, str] = {}
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        if name.startswith(".") or not os.path.isfile(path):
            continue
        has_extension = bool(extension) and name.endswith(extension)
        job = check_job(name.removesuffix(extension) if has_extension else os.path.splitext(name)[0], [repo])
        if job in found:
            raise ConfigurationError(f"{found[job]} and {path} would both become job {job!r}", fix="rename one of them")
        found[job] = path
    if not found:
        raise ConfigurationError(f"there is no file in {directory}", fix="name a directory with files in it")
    return {job: _opener(path, None) for job, path in found.items()}


async def _store(link: LinkName, sources: dict[str, Opener]) -> None:
    repo = link.repo
    if isinstance(repo, MetadataRepository):
        # Every record is read and parsed before the first is written.
        texts = {job: _read_record(opener, link, job) for job, opener in sources.items()}
        values = {job: _parse(text, link, job) for job, text in texts.items()}
        for job, value in values.items():
            if isinstance(repo, BlobRepository):
                await _write(repo, job, texts[job])
            else:
                await repo.dump(job, value)
        return
    assert isinstance(repo, BlobRepository)  # noqa: S101  `inject` saw it
    for job, opener in sources.items():
        with opener() as file:
            async with repo.open(job, "wb") as stream:
                while block := file.read(BLOCK):
                    await stream.write(block)


async def _write(repo: BlobRepository, job: str, data: bytes) -> None:
    async with repo.open(job, "wb") as stream:
        await stream.write(data)


def _read_record(opener: Opener, link: LinkName, job: str) -> bytes:
    blocks: list[bytes] = []
    size = 0
    with opener() as file:
        while size <= RECORD_LIMIT and (block := file.read(BLOCK)):
            blocks.append(block)
            size += len(block)
    text = b"".join(blocks)
    if not text.strip():
        raise ConfigurationError(
            f"nothing was given for record {job!r} of {link}", fix="give YAML, such as {} for an empty record"
        )
    return text


def _parse(text: bytes, link: LinkName, job: str) -> Any:
    try:
        return load_yaml(text, str(link), job)
    except CorruptRecordError as error:
        raise ConfigurationError(
            f"what was given for record {job!r} of {link} is no YAML: {error.reason}", fix="mend it; nothing was stored"
        ) from error
