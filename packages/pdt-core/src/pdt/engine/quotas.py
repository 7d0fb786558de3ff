"""What tasks take of their quotas; a resource manager that fails holds back its own tasks only."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Collection, Mapping
from typing import TypeVar

from ..resource_manager import ResourceManager, Resources
from ..resource_manager.manager import demand
from ..task.base import Task
from ..task.tracked import TrackedTask
from .backoff import Backoff
from .schedule import Load

__all__ = ["Quotas"]

logger = logging.getLogger("pdt.engine")

Answer = TypeVar("Answer")

#: A manager that fails is asked this often in a run, the first time again after this many seconds.
ATTEMPTS = 5
FIRST_DELAY = 0.25
LONGEST_DELAY = 60.0


class Quotas:
    """Reserves what jobs need, and gives it back when they have ended.

    :param tasks: the pipeline's tasks, by name.
    """

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self._tasks = tasks
        self._ended: list[TrackedTask] = []
        #: The managers that failed, each by its task's name.
        self.failures: Backoff[str] = Backoff(FIRST_DELAY, LONGEST_DELAY, ATTEMPTS)

    @property
    def loads(self) -> dict[str, Load]:
        """What one job of each task asks of its quota."""
        return {
            name: Load(id(task.resource_manager), demand(task.job_resources))
            for name, task in self._tasks.items()
            if task.resource_manager is not None and task.job_resources is not None
        }

    @property
    def caps(self) -> dict[int, Resources]:
        """The quotas."""
        return {id(manager): manager.quota for manager in self._managers().values()}

    def _managers(self) -> dict[str, ResourceManager]:
        return {name: task.resource_manager for name, task in self._tasks.items() if task.resource_manager is not None}

    async def usage(self) -> tuple[dict[int, Resources], Collection[str]]:
        """Return what is in use of each quota, and the tasks of which nobody knows."""
        used: dict[int, Resources] = {}
        managers = self._managers()
        for name, manager in managers.items():
            if id(manager) in used or self.failures.wait(name):
                continue
            answer = await self._ask(name, manager.usage(), None)
            if answer is not None:
                self.failures.succeeded(name)
                used[id(manager)] = answer
        return used, [name for name, manager in managers.items() if id(manager) not in used]

    async def reserve(self, task: Task, jobs: list[str]) -> list[str]:
        """Return those of `jobs` for which there are resources, in order."""
        manager, request = task.resource_manager, task.job_resources
        if manager is None or request is None or not isinstance(task, TrackedTask):
            return jobs
        for count in range(len(jobs)):
            if await self._ask(task.name, manager.reserve(request), ...) is not None:
                return jobs[:count]
            task.holding += 1
        return jobs

    def ended(self, task: Task) -> None:
        """Note that a job does not need any more what was reserved for it."""
        if isinstance(task, TrackedTask) and task.resource_manager is not None and task.holding:
            task.holding -= 1
            self._ended.append(task)

    async def give_back(self) -> None:
        """Give back what ended jobs held."""
        ended, self._ended = self._ended, []
        for task in ended:
            if task.resource_manager is not None and task.job_resources is not None:
                held = task.job_resources.with_launches(0) if task.counts_starts else task.job_resources
                await self._ask(task.name, task.resource_manager.relinquish(held), None)

    async def _ask(self, task: str, question: Awaitable[Answer], otherwise: Answer) -> Answer:
        try:
            return await question
        except Exception as error:  # a stranger's manager, or what it asks, may fail in any way
            self.failures.failed(task, f"{type(error).__name__}: {error}")
            logger.warning("the quota of task %s failed: %s", task, error, exc_info=error)
            return otherwise
