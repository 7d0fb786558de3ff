"""What a run did, in a few lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import TYPE_CHECKING, Any

from ..repository.filesystem import FileRepository
from . import output
from .oserrors import fix_of_text

if TYPE_CHECKING:
    from ..engine.report import Report
    from ..pipeline import Pipeline
    from ..task.base import Task

__all__ = ["print_problems", "skipped_lines", "summary_lines"]

MOST_NAMED = 3
#: What is shown of the log of a job that failed.
MOST_LINES = 8
MOST_BYTES = 8192
LONGEST_LINE = 300


def summary_lines(pipeline: Pipeline) -> list[str]:
    """Return what the runner of an open pipeline has to say at the end."""
    runner = pipeline.runner
    report: Report = runner.report
    lines = []
    for task in pipeline.tasks:
        ok, failed, launched = report.succeeded[task], report.failed[task], report.launched[task]
        blocked = len(getattr(pipeline.tasks[task], "blocked", ()))
        said = [f"{ok} ok"] if ok or failed else [f"{launched - blocked} launched"] if launched > blocked else []
        counts = ((failed, "failed"), (blocked, "blocked"), (report.retried[task], "tried again"))
        said += [f"{count} {word}" for count, word in counts if count]
        if said:
            lines.append(f"{task}: {', '.join(said)}")
    skipped = {name: found.skipped for name, found in runner.view.readiness.items() if found.skipped}
    lines += skipped_lines(skipped)
    lines += list(_last_failure(pipeline, report))
    return lines or ["nothing to do"]


def skipped_lines(skipped: Mapping[str, Set[str]]) -> list[str]:
    """Return what is left out because its key is no job id.

    :param skipped: keys by task.
    """
    lines = []
    for task, keys in skipped.items():
        some = sorted(map(ascii, keys))[:MOST_NAMED]
        more = ", ..." if len(keys) > len(some) else ""
        lines.append(f"{task}: {len(keys)} skipped: {', '.join(some)}{more} (not a valid job id)")
    return lines


def _last_failure(pipeline: Pipeline, report: Report) -> Iterator[str]:
    """Say why the last job failed that did, with the end of what it has written, and what to do about it."""
    if report.last_failure is None:
        return
    name, job, record = report.last_failure
    from .cause import cause_of

    yield output.printable(f"last failure: {name} {job}: {cause_of(record)}")
    for line in _end_of_log(pipeline.tasks[name], job, record):
        yield f"  | {output.printable(line.expandtabs())[:LONGEST_LINE]}"
    yield f"  all of it: pdt logs {name} {job}"
    yield "  every failure: pdt failures --group-by cause; again: pdt retry --failed, then pdt run"


def _end_of_log(task: Task, job: str, record: Mapping[str, Any]) -> list[str]:
    """Return the last lines of what is kept of a failed attempt; of a function, where it failed."""
    if record.get("traceback"):
        frames = [entry for entry in record["traceback"] if entry.startswith("  File ")]
        return frames[-1].rstrip("\n").split("\n")[:MOST_LINES] if frames else []
    from .attempts import as_process
    from .logfiles import last_lines

    process = as_process(task)
    if process is None:
        return []
    lines = last_lines(process.log_path(job, record.get("attempt") or 1), MOST_LINES, MOST_BYTES)
    if not lines and isinstance(process.stderr, FileRepository):
        lines = last_lines(str(process.stderr.fullpath(job)), MOST_LINES, MOST_BYTES)
    return lines


def print_problems(report: Report) -> None:
    """Print the problems of a run, each with its fix where it has one, on stderr."""
    for text in report.problems:
        output.fail_with(text, fix_of_text(text) if "[Errno " in text else None)
