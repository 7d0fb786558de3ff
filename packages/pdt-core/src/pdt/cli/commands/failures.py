"""`pdt failures`: the jobs that failed, and why."""

from __future__ import annotations

from typing import Any

from ...pipeline import Pipeline
from .. import exits, output
from ..cause import cause_of, common_cause
from ..failed import Failure, failures_of
from ..names import find_task

__all__ = ["failures"]

COLUMNS = ("task", "job", "reason", "attempt", "return_code", "when", "cause")
MOST_EXAMPLES = 3


async def failures(
    pipeline: Pipeline, *, tasks: list[str], group_by: str | None = None, form: str | None = None
) -> int:
    """Print the jobs that failed, by the time of their end, or how many of them are alike.

    :param tasks: names of tasks; every one if there are none.
    :param group_by: Optional: cause, reason or task.
    :param form: Optional: table, json, jsonl, yaml or name.
    """
    chosen = [find_task(pipeline, name) for name in tasks] or pipeline.tasks.values()
    found, broken = await failures_of(dict.fromkeys(chosen))
    form = form or "table"
    if group_by is not None:
        output.emit(_groups(found, group_by), form, ("count", group_by, "tasks", "examples"), group_by)
    elif found or form != "table":
        output.emit([_row(failure) for failure in found], form, COLUMNS, "job")
    output.flush()
    if not found:
        output.note("no job has failed")
    for error in broken:
        output.fail(error.message, error.fix)
    if broken:
        return exits.BACKEND
    return exits.FAILURE if found else exits.OK


def _row(failure: Failure) -> dict[str, Any]:
    record = failure.record
    return {
        "task": failure.task.name,
        "job": failure.job,
        "reason": record.get("reason"),
        "attempt": record.get("attempt"),
        "return_code": record.get("return_code"),
        "signal": record.get("signal"),
        "when": failure.when or None,
        "cause": cause_of(record),
    }


def _groups(found: list[Failure], group_by: str) -> list[dict[str, Any]]:
    """Return how many failures are alike, the most first; each group with its newest jobs."""
    groups: dict[str, list[Failure]] = {}
    for failure in found:
        groups.setdefault(_group(failure, group_by), []).append(failure)
    return [
        {
            "count": len(group),
            group_by: name,
            "tasks": sorted({failure.task.name for failure in group}),
            "examples": list(dict.fromkeys(failure.job for failure in reversed(group)))[:MOST_EXAMPLES],
        }
        for name, group in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def _group(failure: Failure, group_by: str) -> str:
    if group_by == "task":
        return failure.task.name
    if group_by == "reason":
        return str(failure.record.get("reason"))
    return common_cause(failure.record, failure.job)
