"""The jobs that a task is running, as a repository."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Set
from typing import TYPE_CHECKING

from .base import Repository

if TYPE_CHECKING:
    from ..task.executor import ExecutorTask

__all__ = ["ExecutorLiveRepo"]


class ExecutorLiveRepo(Repository):
    """The jobs that an ExecutorTask is running; made by the task and linked as "live".

    :param task: the task.
    """

    inline = True
    shared = False

    def __init__(self, task: ExecutorTask) -> None:
        self.task = task

    async def keys(self) -> Set[str]:
        """Return the running jobs."""
        return set(self.task.rev_jobs)

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        """Yield the running jobs."""
        for job in list(self.task.rev_jobs):
            yield job

    async def contains(self, item: str) -> bool:
        """Tell whether the job is running."""
        return item in self.task.rev_jobs

    async def info(self, job: str) -> None:
        """Return None: a template can do nothing with a running function."""
        self.job_ids.check(job)

    async def delete(self, job: str) -> None:
        """Cancel the job; nothing happens if it is not running."""
        await self.task.cancel(self.job_ids.check(job))

    def __repr__(self) -> str:
        return f"ExecutorLiveRepo({self.task.name!r})"
