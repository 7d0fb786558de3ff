"""`pdt logs`: what a job has written."""

from __future__ import annotations

import asyncio
import codecs
import sys
from pathlib import Path
from typing import BinaryIO

from ...errors import NotFoundError, PdtError
from ...pipeline import Pipeline
from ...proc_manager.processes import carriers
from ...task.process import ProcessTask
from .. import exits, output
from ..attempts import as_process, attempts_of
from ..failed import record_of
from ..jobs import check_job, unknown_job
from ..known import keys_of
from ..logfiles import BLOCK, Source, find_source, offset_of_last
from ..names import find_task
from ..oserrors import doing

__all__ = ["logs"]

#: Seconds between looks at a file that may grow.
FOLLOW_SECONDS = 0.2
#: Looks in a row at which nothing of an attempt runs, after which it is over: it may have been about to begin.
LATE = 3
#: Bytes of a stream that can only be read from its beginning, of which the last lines are shown.
MOST_TAIL = 8 * 1024 * 1024


async def logs(
    pipeline: Pipeline,
    *,
    task: str,
    job: str,
    follow: bool = False,
    tail: int | None = None,
    stream: str | None = None,
    attempt: int | None = None,
) -> int:
    """Print the log of a job.

    :param task: the task's name.
    :param job: the job id.
    :param follow: whether to go on until the attempt ends.
    :param tail: Optional: how many lines to print of what is there.
    :param stream: Optional: log, stdout or stderr; by default the first that has anything.
    :param attempt: Optional: the number of the attempt; by default the last.
    :raises NotFoundError: if there is nothing to print.
    """
    found = find_task(pipeline, task)
    check_job(job, [link.repo for link in found.links.values()])
    process = as_process(found)
    printer = _Printer()
    if process is None:
        record = await record_of(found, job)
        if record is None or not record.get("traceback") or stream in ("stdout", "stderr"):
            everything = await keys_of(pipeline.repositories)
            if job not in everything:
                raise unknown_job(job, everything, "this pipeline")
            raise NotFoundError(
                f"there is no log of {found.name} {job}: only the traceback of a function is kept, when it has failed",
                fix=f"pdt why {found.name} {job} says what has become of it",
            )
        text = "".join(record["traceback"])
        printer.write(_last(text.encode("utf-8", "backslashreplace"), tail))
        return exits.OK
    source = await find_source(pipeline, process, job, stream, attempt)
    while source is None:
        if not follow:
            raise NotFoundError(f"{found.name} {job} has written nothing yet", fix="wait for it with -f")
        await asyncio.sleep(FOLLOW_SECONDS)
        source = await find_source(pipeline, process, job, stream, attempt)
    with doing(f"reading the {source.stream} of {found.name} {job}"):
        await _print(pipeline, process, job, source, tail, printer, follow=follow)
    return exits.OK


async def _print(
    pipeline: Pipeline,
    task: ProcessTask,
    job: str,
    source: Source,
    tail: int | None,
    printer: _Printer,
    *,
    follow: bool,
) -> None:
    if source.repo is not None or not source.is_local:
        if follow and source.number is not None:
            raise PdtError(
                f"{source.path} is not on this machine, where it could be followed", fix="leave out -f, and repeat it"
            )
        await _copy(task, job, source, tail, printer)
        return
    with open(source.path, "rb") as file:  # noqa: ASYNC230  a file on a disk of this machine
        if tail is not None:
            file.seek(offset_of_last(source.path, tail))
        printer.copy(file)
        idle = 0
        while follow and source.number is not None:
            output.flush()
            attempts = await attempts_of(pipeline, task, job)
            idle = 0 if carriers([source.token])[source.token] else idle + 1
            is_over = attempts.current != source.number or idle >= LATE
            if not is_over:
                await asyncio.sleep(FOLLOW_SECONDS)
            printer.copy(file)
            if is_over:
                return


async def _copy(task: ProcessTask, job: str, source: Source, tail: int | None, printer: _Printer) -> None:
    """Print a stream that can only be read from its beginning."""
    opened = (
        source.repo.open(job, "rb") if source.repo is not None else await task.manager.open(Path(source.path), "rb")
    )
    last = b""
    async with opened as file:
        while block := await file.read(BLOCK):
            if tail is None:
                printer.write(block)
            else:
                last = (last + block)[-MOST_TAIL:]
    printer.write(_last(last, tail))


def _last(data: bytes, lines: int | None) -> bytes:
    """Return the last lines of some data."""
    if lines is None:
        return data
    return b"".join(data.splitlines(keepends=True)[-lines:]) if lines else b""


class _Printer:
    """Prints a log: to a terminal as text that it shows and does not obey, elsewhere as it is."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace") if sys.stdout.isatty() else None

    def write(self, block: bytes) -> None:
        """Print a block."""
        if self._decoder is None:
            output.write_bytes(block)
            return
        lines = self._decoder.decode(block).split("\n")
        output.write("\n".join("\t".join(map(output.printable, line.split("\t"))) for line in lines))

    def copy(self, file: BinaryIO) -> None:
        """Print what is left of a file."""
        while block := file.read(BLOCK):
            self.write(block)
