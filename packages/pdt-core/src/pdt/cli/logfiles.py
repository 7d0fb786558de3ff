"""Where the log of a job is: of the attempt that runs, of one that failed, or in a repository."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import NotFoundError
from ..pipeline import Pipeline
from ..repository.base import BlobRepository
from ..repository.filesystem import STAGING, FileRepository
from .attempts import Attempts, attempts_of
from .failed import record_of
from .jobs import unknown_job
from .known import keys_of

if TYPE_CHECKING:
    from ..task.process import ProcessTask

__all__ = ["BLOCK", "Source", "find_source", "last_lines", "offset_of_last"]

#: In the order in which they are looked at.
STREAMS = ("log", "stdout", "stderr")
BLOCK = 64 * 1024


class Source(NamedTuple):
    """Where a stream of a job can be read.

    :param stream: log, stdout or stderr.
    :param path: the file, on this machine or on the target; "" where it is in a repository.
    :param repo: Optional: the repository that has it.
    :param number: of the attempt, where it is under way.
    :param token: of that attempt.
    :param is_local: whether the file is on this machine.
    """

    stream: str
    path: str = ""
    repo: BlobRepository | None = None
    number: int | None = None
    token: str = ""
    is_local: bool = True

    @property
    def size(self) -> int | None:
        """How many bytes there are; None where there is no such file, and 1 where nobody can tell without reading."""
        if self.repo is not None or not self.is_local:
            return 1
        try:
            return os.stat(self.path).st_size
        except OSError:
            return None


async def find_source(
    pipeline: Pipeline, task: ProcessTask, job: str, stream: str | None, attempt: int | None
) -> Source | None:
    """Return where to read; None where the attempt is about to begin, and has nothing yet.

    :param stream: Optional: log, stdout or stderr; by default the first that has anything.
    :param attempt: Optional: the number of the attempt; by default the last.
    :raises NotFoundError: if there is nothing to read.
    """
    wanted = STREAMS if stream is None else (stream,)
    attempts = await attempts_of(pipeline, task, job)
    record = await record_of(task, job)
    sources = [source for source in _live(task, job, attempts, attempt) if source.stream in wanted]
    if not sources:
        sources = [Source("log", path) for path in _kept(task, job, attempts, record, attempt) if "log" in wanted]
        sources += [source async for source in _stored(task, job, record, attempt) if source.stream in wanted]
    sizes = {source: source.size for source in sources}
    found = [source for source in sources if sizes[source] is not None]
    if found:
        return next((source for source in found if sizes[source]), found[0])
    if attempts.current is not None and attempt in (None, attempts.current) and sources:
        return None
    raise await _missing(pipeline, task, job, stream, attempt, sources, record)


def _live(task: ProcessTask, job: str, attempts: Attempts, attempt: int | None) -> Iterator[Source]:
    """Yield where the streams of the attempt go that is under way, if it is the one that is wanted."""
    number = attempts.current
    if number is None or attempt not in (None, number):
        return
    token = attempts.claims[number]
    runner = task.manager.runner()
    if task.keep_log and (task.stdout is None or task.stderr is None):
        yield Source("log", runner.path(token, "log"), None, number, token, runner.is_local)
    for name in ("stdout", "stderr"):
        if name in task.links:
            repo = task.links[name].repo
            path = runner.path(token, name)
            if runner.is_local and isinstance(repo, FileRepository):
                target = repo.fullpath(job)
                path = os.path.join(target.parent, STAGING, f"{token}-{target.name}")
            yield Source(name, path, None, number, token, runner.is_local)


def _kept(
    task: ProcessTask, job: str, attempts: Attempts, record: dict[str, Any] | None, attempt: int | None
) -> Iterator[str]:
    """Yield where the log of a failed attempt would be kept."""
    number = attempt or max(attempts.ends, default=0)
    if not number and record is not None and not record.get("success"):
        number = record.get("attempt") or 1
    if number:
        yield task.log_path(job, number)


async def _stored(task: ProcessTask, job: str, record: dict[str, Any] | None, attempt: int | None) -> Any:
    """Yield the repositories that have streams of the job."""
    if attempt is not None and (record is None or record.get("attempt") != attempt):
        return
    for name in ("stdout", "stderr"):
        repo = task.links[name].repo if name in task.links else None
        if isinstance(repo, BlobRepository) and await repo.contains(job):
            yield Source(name, repo=repo)


async def _missing(
    pipeline: Pipeline,
    task: ProcessTask,
    job: str,
    stream: str | None,
    attempt: int | None,
    sources: list[Source],
    record: dict[str, Any] | None,
) -> NotFoundError:
    """Return the error that says where was looked, and what can be done about it."""
    everything = await keys_of(pipeline.repositories)
    if job not in everything and record is None:
        return unknown_job(job, everything, "this pipeline")
    if stream in ("stdout", "stderr") and stream not in task.links:
        return NotFoundError(
            f"task {task.name!r} has no repository for {stream}: it goes to the log, or where stdout goes",
            fix=f"leave out --stream, or give the task {stream}=FileRepository(...)",
        )
    looked = [source.path for source in sources]
    looked += [repr(task.links[name].repo) for name in ("stdout", "stderr") if name in task.links]
    which = f"attempt {attempt} of " if attempt is not None else ""
    where = f"; looked at {', '.join(looked)}" if looked else ""
    message = f"there is no {stream or 'log'} of {which}{task.name} {job}{where}"
    if attempt is not None:
        names = [path.name[len(job) + 1 : -4] for path in Path(task.log_path(job, 1)).parent.glob(f"{job}.*.log")]
        kept = sorted(int(name) for name in names if name.isdecimal())
        fix = f"these attempts have one: {', '.join(map(str, kept))}" if kept else "no attempt has one"
    elif record is None:
        fix = f"it has not run yet: pdt why {task.name} {job}"
    elif record.get("success"):
        fix = "a log is kept of failed attempts only; give the task stdout=FileRepository(...) to keep it of all"
    elif not task.keep_log:
        fix = "the task has keep_log=False; leave that out to keep the logs of failed attempts"
    elif record.get("reason") == "unlaunchable":
        fix = f"it was never started; pdt failures {task.name} says why"
    else:
        fix = f"the job has written nothing that is kept; pdt failures {task.name} says why it failed"
    return NotFoundError(message, fix=fix)


def offset_of_last(path: str, lines: int) -> int:
    """Return where the last `lines` lines of a file begin."""
    with open(path, "rb") as file:
        position = end = file.seek(0, os.SEEK_END)
        wanted = lines
        while position > 0:
            start = max(0, position - BLOCK)
            file.seek(start)
            block = file.read(position - start)
            # The newline at the very end closes the last line, and begins none.
            cut = len(block) - 1 if position == end and block.endswith(b"\n") else len(block)
            while wanted:
                cut = block.rfind(b"\n", 0, cut)
                if cut < 0:
                    break
                wanted -= 1
            if not wanted:
                return start + cut + 1 if lines else end
            position = start
        return 0


def last_lines(path: str, lines: int, most: int) -> list[str]:
    """Return the last lines of a file as text, of at most so many bytes."""
    try:
        start = offset_of_last(path, lines)
        with open(path, "rb") as file:
            file.seek(max(start, os.fstat(file.fileno()).st_size - most))
            return file.read(most).decode("utf-8", "backslashreplace").splitlines()
    except OSError:
        return []
