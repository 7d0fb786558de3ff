"""What the ledger says of attempts that are under way, for commands that only look."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ..job import quoted, unquoted
from ..pipeline import Pipeline
from ..task.base import Task
from ..task.tracked import TrackedTask

if TYPE_CHECKING:
    from ..task.process import ProcessTask

__all__ = ["Attempts", "as_process", "attempts_of", "running_jobs", "waiting_jobs"]


class Attempts(NamedTuple):
    """The attempts of a job that are not settled.

    :param claims: by number, the token of each attempt that somebody has claimed.
    :param ends: by number, the record of each that ended and is followed by another.
    :param is_decided: whether the last of them has ended, and its results are being put in place.
    """

    claims: dict[int, str]
    ends: dict[int, dict[str, Any]]
    is_decided: bool = False

    @property
    def current(self) -> int | None:
        """The number of the attempt that is under way, or None."""
        number = max(self.claims, default=0)
        return number if number > max(self.ends, default=0) and not self.is_decided else None

    def seconds_left(self) -> float | None:
        """Return the seconds until the next attempt may begin, or None if the job does not wait for one."""
        if not self.ends or self.current is not None or self.is_decided:
            return None
        last = self.ends[max(self.ends)]
        end, delay = last.get("end_time"), last.get("delay")
        if not isinstance(end, datetime) or not isinstance(delay, int | float):
            return 0.0
        return max(0.0, delay - (datetime.now(UTC) - end).total_seconds())


def as_process(task: Task) -> ProcessTask | None:
    """Return the task if its jobs run as processes."""
    if not (isinstance(task, TrackedTask) and task.outlives):
        return None
    from ..task.process import ProcessTask

    return task if isinstance(task, ProcessTask) else None


async def attempts_of(pipeline: Pipeline, task: Task, job: str) -> Attempts:
    """Return what the ledger says of a job; nothing where there is no ledger."""
    if not pipeline.has_ledger:
        return Attempts({}, {})
    ledger, name = pipeline.ledger, f"{task.name}/{quoted(job)}"
    claims = await ledger.items(f"claim/{name}/")
    ends = await ledger.items(f"end/{name}/")
    return Attempts(
        {_number(key): str(claim.get("token")) for key, claim in claims.items()},
        {_number(key): end for key, end in ends.items()},
        await ledger.get(f"commit/{name}") is not None,
    )


async def running_jobs(pipeline: Pipeline, task: ProcessTask) -> tuple[set[str], set[str]]:
    """Return the jobs whose processes run, as far as another process can tell; and those that may be among them.

    Some are claimed in advance, and what has begun just now is not written down yet.
    """
    if not pipeline.has_ledger:
        return set(), set()
    ended: dict[str, int] = {}
    for job, number in await _numbers(pipeline, "end", task):
        ended[job] = max(ended.get(job, 0), number)
    claimed = {job for job, number in await _numbers(pipeline, "claim", task) if number > ended.get(job, 0)}
    return (claimed & await task.pids.keys() if task.pids.shared else claimed), claimed


async def waiting_jobs(pipeline: Pipeline, task: Task) -> set[str]:
    """Return the jobs of a task that failed, have another attempt and have not begun it."""
    if not (isinstance(task, TrackedTask) and task.keeps_attempts and pipeline.has_ledger):
        return set()
    last: dict[str, int] = {}
    for job, number in await _numbers(pipeline, "end", task):
        last[job] = max(last.get(job, 0), number)
    begun = {job for job, number in await _numbers(pipeline, "claim", task) if number > last.get(job, 0)}
    return last.keys() - begun


async def _numbers(pipeline: Pipeline, kind: str, task: Task) -> list[tuple[str, int]]:
    keys = await pipeline.ledger.list(f"{kind}/{task.name}/")
    return [(unquoted(key.split("/")[2]), _number(key)) for key in keys]


def _number(key: str) -> int:
    number = key.rpartition("/")[2]
    return int(number) if number.isdecimal() else 0
