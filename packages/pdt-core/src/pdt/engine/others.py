"""The other controllers of a shared pipeline: whether they are at work, and what they leave when they are gone."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping

from ..controllers import ControllerLock
from ..task.base import Task
from ..task.tracked import TrackedTask
from .backoff import Backoff
from .look import UPDATE_PATIENCE, cancel_and_wait

__all__ = ["Others"]

logger = logging.getLogger("pdt.engine")

#: Seconds between looks at the others, while there is enough to do.
LOOK_SECONDS = 1.0
#: What cannot be taken over is tried this often, the first time again after this many seconds.
ATTEMPTS = 5
FIRST_DELAY = 0.25
LONGEST_DELAY = 60.0


class Others:
    """Looks after what other controllers claim.

    :param lock: the pipeline's, which this controller shares.
    :param tasks: the pipeline's tasks, by name.
    :param in_flight: from a task's name to the jobs that this controller has under way.
    :param taken: called when something was taken over.
    """

    def __init__(
        self,
        lock: ControllerLock,
        tasks: Mapping[str, Task],
        in_flight: Callable[[str], Collection[str]],
        taken: Callable[[], None],
    ) -> None:
        self._lock = lock
        self._tasks = {name: task for name, task in tasks.items() if isinstance(task, TrackedTask)}
        self._in_flight = in_flight
        self._taken = taken
        self._looked_at = -LOOK_SECONDS
        #: By task, the controllers that are gone and whose claims it has not taken over.
        self._left: dict[str, set[int]] = {}
        self._taking: dict[str, tuple[set[int], asyncio.Task[None]]] = {}
        self.failures: Backoff[str] = Backoff(FIRST_DELAY, LONGEST_DELAY, ATTEMPTS)

    async def look_sometimes(self) -> None:
        """Look at the others, unless that was done a short while ago."""
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            await self.are_at_work()

    async def are_at_work(self) -> bool:
        """Take over what controllers have left that are gone, and tell whether any that is not works on a job."""
        self._looked_at = time.monotonic()
        at_work: set[int] = set()
        for name, task in self._tasks.items():
            try:
                # What is blocked or was given up here is for the others to try.
                await task.unclaim(set(task.claimed).difference(self._in_flight(name)))
                owners, busy = await task.book.owners()
            except Exception as error:  # what the task itself does with its claims fails as well, and says so
                logger.debug("the claims of task %s cannot be read: %s", name, error, exc_info=error)
                continue
            at_work |= busy
            for number in owners - self._lock.numbers:
                if self._lock.take(number):
                    for left in self._tasks:
                        self._left.setdefault(left, set()).add(number)
        await self._take_over()
        return bool(self._left) or not at_work <= self._lock.numbers

    async def _take_over(self) -> None:
        for name, numbers in self._left.items():
            if name not in self._taking and not self.failures.wait(name):
                # Not waited for to its end: a manager that does not answer holds up its own task only.
                taking = asyncio.get_running_loop().create_task(self._tasks[name].take_over(set(numbers)))
                taking.add_done_callback(lambda _: self._taken())
                self._taking[name] = (set(numbers), taking)
        if self._taking:
            await asyncio.wait([taking for _, taking in self._taking.values()], timeout=UPDATE_PATIENCE)
        for name, (numbers, taking) in list(self._taking.items()):
            if taking.done():
                del self._taking[name]
                if self._has_taken(name, taking):
                    self._left[name] -= numbers
                if not self._left[name] or self.failures.given_up(name):
                    del self._left[name]

    def _has_taken(self, name: str, taking: asyncio.Task[None]) -> bool:
        error = None if taking.cancelled() else taking.exception()
        if error is None:
            self.failures.succeeded(name)
            return True
        self.failures.failed(name, f"{type(error).__name__}: {error}")
        logger.warning("what is left of task %s is not taken over: %s", name, error, exc_info=error)
        return False

    async def close(self) -> None:
        """Stop what is still under way."""
        await cancel_and_wait([taking for _, taking in self._taking.values()])
