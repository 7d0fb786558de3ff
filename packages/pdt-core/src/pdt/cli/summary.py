"""What a run did, in a few lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import TYPE_CHECKING

from . import output
from .oserrors import fix_of_text

if TYPE_CHECKING:
    from ..engine.report import Report
    from ..pipeline import Pipeline

__all__ = ["print_problems", "skipped_lines", "summary_lines"]

MOST_NAMED = 3


def summary_lines(pipeline: Pipeline) -> list[str]:
    """Return what the runner of an open pipeline has to say at the end."""
    runner = pipeline.runner
    report: Report = runner.report
    lines = []
    for task in pipeline.tasks:
        ok, failed, launched = report.succeeded[task], report.failed[task], report.launched[task]
        blocked = len(getattr(pipeline.tasks[task], "blocked", ()))
        said = [f"{ok} ok"] if ok or failed else [f"{launched - blocked} launched"] if launched > blocked else []
        said += [f"{count} {word}" for count, word in ((failed, "failed"), (blocked, "blocked")) if count]
        if said:
            lines.append(f"{task}: {', '.join(said)}")
    skipped = {name: found.skipped for name, found in runner.view.readiness.items() if found.skipped}
    lines += skipped_lines(skipped)
    lines += list(_failure_hints(pipeline, report))
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


def _failure_hints(pipeline: Pipeline, report: Report) -> Iterator[str]:
    for name in report.failed:
        done = getattr(pipeline.tasks[name], "done", None)
        link = next((link for link, found in pipeline.tasks[name].links.items() if found.repo is done), None)
        if link is not None:
            yield f"  why: pdt cat {name}.{link} JOB; again: pdt rm {name}.{link} JOB, then pdt run"


def print_problems(report: Report) -> None:
    """Print the problems of a run, each with its fix where it has one, on stderr."""
    for text in report.problems:
        output.fail_with(text, fix_of_text(text) if "[Errno " in text else None)
