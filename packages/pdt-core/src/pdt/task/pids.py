"""The records of running processes, written late: what ends soon is never written down."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from ..failpoints import hit
from ..repository.base import MetadataRepository

if TYPE_CHECKING:
    import asyncio

    from .live import Running

__all__ = ["PidRecords"]

#: Seconds between writes: what ends sooner is never written.
WRITE_SECONDS = 0.05


class PidRecords:
    """Keeps a record of each process that runs for a while.

    :param repo: takes the records.
    :param running: the attempts that run, by job.
    :param spawn: runs something in the background.
    """

    def __init__(
        self,
        repo: MetadataRepository,
        running: Mapping[str, Running],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._repo = repo
        self._running = running
        self._spawn = spawn
        self._begun: set[str] = set()
        #: The jobs whose records are there.
        self.written: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def load(self) -> None:
        """Read which records an earlier controller has left."""
        found = {job async for job in self._repo}
        self.written = found | self.written.intersection(self._running)

    def begun(self, job: str) -> None:
        """Note that a job's process runs."""
        self._begun.add(job)
        if self._timer is None:
            import asyncio

            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(WRITE_SECONDS, lambda: self._spawn(self.write()))

    def stop(self) -> None:
        """Write nothing by itself any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def write(self) -> None:
        """Write down what has begun since the last time and runs still."""
        self.stop()
        begun, self._begun = self._begun, set()
        records = {
            job: {"pid": running.pid, "start_time": running.start}
            for job in begun
            if (running := self._running.get(job)) is not None and running.is_alive
        }
        if records:
            hit("pids.before_write")
            self.written.update(records)
            await self._repo.dump_all(records)
            hit("pids.written")

    async def delete(self, jobs: Collection[str]) -> None:
        """Remove the records of jobs."""
        for job in self.written.intersection(jobs):
            await self._repo.delete(job)
            self.written.discard(job)
