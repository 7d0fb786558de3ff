"""The jobs that failed, by their records."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from ..errors import CorruptRecordError
from ..repository.base import MetadataRepository
from ..task.base import Task
from ..task.tracked import TrackedTask
from .oserrors import doing

__all__ = ["Failure", "failures_of", "record_of", "record_repositories"]


class Failure(NamedTuple):
    """A job that failed.

    :param repo: where its record is.
    """

    task: TrackedTask
    job: str
    record: dict[str, Any]
    repo: MetadataRepository

    @property
    def when(self) -> str:
        """When it ended, as text that sorts by time."""
        end = self.record.get("end_time")
        return end.isoformat(timespec="seconds") if isinstance(end, datetime) else str(end or "")


def record_repositories(task: Task) -> list[MetadataRepository]:
    """Return where the records of a task's jobs are, those of failed ones first."""
    if not isinstance(task, TrackedTask):
        return []
    return [repo for repo in (task.failed, task.done) if repo is not None]


async def failures_of(tasks: Iterable[Task]) -> tuple[list[Failure], list[CorruptRecordError]]:
    """Return the jobs of tasks that failed, the newest last, and the records that cannot be read."""
    found: list[Failure] = []
    broken: list[CorruptRecordError] = []
    for task in tasks:
        for repo in record_repositories(task):
            with doing(f"reading the records of {task.name}"):
                records = await repo.items()
            for job, record in records.items():
                if isinstance(record, CorruptRecordError):
                    broken.append(record)
                elif _has_failed(record) and isinstance(task, TrackedTask):
                    found.append(Failure(task, job, record, repo))
    return sorted(found, key=lambda failure: (failure.when, failure.task.name, failure.job)), broken


async def record_of(task: Task, job: str) -> dict[str, Any] | None:
    """Return the record of a job's end, or None if there is none."""
    for repo in record_repositories(task):
        if await repo.contains(job):
            record = await repo.info(job)
            if isinstance(record, dict):
                return record
    return None


def _has_failed(record: object) -> bool:
    return isinstance(record, dict) and record.get("success") is False
