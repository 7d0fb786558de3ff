"""The launches of one task: bounded, in order, and apart from those of other tasks."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable

from ..task.base import Task

__all__ = ["Lane"]

#: Seconds that launches which never wait may keep the event loop to themselves.
SLICE = 0.01
#: Jobs that a lane takes on, however few it launches at once.
AHEAD = 128


class Lane:
    """Launches the jobs that it is given, at most `task.concurrency` at once.

    :param task: the task.
    :param on_launched: called with a job whose launch has returned.
    :param on_failed: called with a job whose launch has raised, and what.
    :param on_room: called when the lane can take on more jobs.
    """

    def __init__(
        self,
        task: Task,
        on_launched: Callable[[Task, str], None],
        on_failed: Callable[[Task, str, BaseException], None],
        on_room: Callable[[], None],
    ) -> None:
        self.task = task
        #: Jobs that were given and have not ended, as far as the engine can tell.
        self.in_flight: set[str] = set()
        #: Jobs that are not given yet, and that nobody else can start.
        self.claimed: set[str] = set()
        #: Those in flight that need their resources no longer.
        self.freed: set[str] = set()
        #: Jobs that ended since the last snapshot was begun, which it may therefore not show as done.
        self.ended: set[str] = set()
        #: Jobs that are not to be started again in this run: they leave no record behind.
        self.finished: set[str] = set()
        self.queue: deque[str] = deque()
        self.active = 0
        #: The number of jobs that are checked before they are given.
        self.checking = 0
        self._on_launched = on_launched
        self._on_failed = on_failed
        self._on_room = on_room
        self._workers: set[asyncio.Task[None]] = set()

    @property
    def room(self) -> int:
        """How many more jobs the lane takes now: a chunk may wait in it, so that its workers never do."""
        return max(0, max(self.task.concurrency, AHEAD) - self._taken)

    @property
    def _taken(self) -> int:
        return self.task.running + self.active + len(self.queue) + self.checking

    @property
    def free(self) -> int:
        """How many more jobs the lane can begin to launch at once."""
        return max(0, self.task.concurrency - self._taken)

    @property
    def share(self) -> int:
        """How many more jobs the lane takes where other controllers wait for some."""
        return max(0, self.task.shared_concurrency - self._taken)

    @property
    def busy(self) -> frozenset[str] | set[str]:
        """The jobs that are not to be started now, whatever the listings say."""
        return self.in_flight | self.ended | self.finished

    def is_busy(self, job: str) -> bool:
        """Tell whether a job is among `busy`."""
        return job in self.in_flight or job in self.ended or job in self.finished

    @property
    def idle(self) -> bool:
        """Whether every launch has returned."""
        return not self.queue and not self.active

    def give(self, jobs: Iterable[str]) -> None:
        """Launch `jobs`, in order."""
        self.queue.extend(jobs)
        self._hire()

    def _hire(self) -> None:
        """Start a worker if there is something left to launch; the next one only if this one has to wait."""
        if self.queue and self.active < self.task.concurrency:
            self.active += 1
            loop = asyncio.get_running_loop()
            worker = loop.create_task(self._work(), name=f"pdt launch {self.task.name}")
            self._workers.add(worker)
            worker.add_done_callback(self._dismiss)
            loop.call_soon(self._hire)

    def _dismiss(self, worker: asyncio.Task[None]) -> None:
        was_full = not self.room
        self._workers.discard(worker)
        self.active -= 1
        if was_full or not self.in_flight:
            self._on_room()

    async def _work(self) -> None:
        queue, launch = self.queue, self.task.launch
        since = time.perf_counter()
        while queue:
            job = queue.popleft()
            try:
                await launch(job)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt | GeneratorExit) or _is_cancelled():
                    raise
                self._on_failed(self.task, job, error)
            else:
                self._on_launched(self.task, job)
            if time.perf_counter() - since > SLICE:
                await asyncio.sleep(0)
                since = time.perf_counter()

    async def drain(self) -> None:
        """Return when every launch that was begun has returned."""
        while self._workers:
            await asyncio.wait(self._workers)

    def withdraw(self) -> list[str]:
        """Take back the jobs that wait to be launched."""
        waiting = list(self.queue)
        self.queue.clear()
        return waiting

    async def close(self) -> None:
        """Stop launching, and cancel what is being launched."""
        self.withdraw()
        for worker in self._workers:
            worker.cancel()
        await self.drain()


def _is_cancelled() -> bool:
    """Tell whether the worker is to stop, rather than the launch that raised."""
    worker = asyncio.current_task()
    return worker is not None and worker.cancelling() > 0
