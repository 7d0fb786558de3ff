"""Group commit: what many jobs wrote is made durable together, before their records say that they are done."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, TypeVar, TypeVarTuple, Unpack

from .. import localfs
from ..failpoints import hit
from ..repository.base import MetadataRepository
from ..repository.filesystem import FileRepository
from ..repository.sqlite import SqliteMetadataRepository
from ..task.record import Outcome, publish
from .snapshot import leaves_of

if TYPE_CHECKING:
    from ..attempts.book import Decision
    from ..task.tracked import TrackedTask

__all__ = ["Ended", "GroupCommit", "Syncer"]

logger = logging.getLogger("pdt.engine")

Answer = TypeVar("Answer")
Arguments = TypeVarTuple("Arguments")

#: A batch is committed when it has this many records, or is this old.
BATCH = 64
BATCH_SECONDS = 0.05
#: Records that may wait for the disk before jobs do.
MOST_PENDING = 2048
#: Times that a store is asked to take a record, and seconds before the second time.
ATTEMPTS = 5
FIRST_DELAY = 0.1
#: Seconds that it may take each time.
STORE_SECONDS = 60.0
#: Seconds that one of many fsyncs side by side takes, before it is measured.
FSYNC_SECONDS = 0.00012
#: How much of a slow syncfs(2), which may have waited for strangers' data, is remembered from one batch to the next.
FORGET = 0.9
SYNC_THREADS = 16


class Ended(NamedTuple):
    """A job that has ended, and its record."""

    task: TrackedTask
    done: MetadataRepository | None
    job: str
    outcome: Outcome
    decision: Decision | None = None


class Syncer:
    """Makes durable what was written: whole file systems at once, or file by file where that waits for strangers."""

    def __init__(self) -> None:
        self._fsync_seconds = FSYNC_SECONDS
        self._syncfs_seconds = 0.0

    def sync(self, written: list[str], places: Iterable[str], untracked: bool) -> None:
        """Make durable `written`, and everything on the file systems of `places`; blocks, so call it in a thread.

        :param written: the files that were put in place.
        :param places: directories on the file systems that were written to.
        :param untracked: whether there are files that are not in `written`.
        """
        if not (untracked or written):
            return
        start = time.monotonic()
        if untracked or self._syncfs_seconds <= 2 * self._fsync_seconds * len(written):
            _sync_filesystems({*places, *map(os.path.dirname, written)})
            self._syncfs_seconds = time.monotonic() - start
            return
        with ThreadPoolExecutor(SYNC_THREADS) as threads:
            list(threads.map(localfs.sync_path, written))
            list(threads.map(localfs.sync_path, {os.path.dirname(path) for path in written}))
        self._fsync_seconds = (time.monotonic() - start) / len(written)
        self._syncfs_seconds *= FORGET  # strangers stop writing some time


def _sync_filesystems(places: Iterable[str]) -> None:
    synced: set[int] = set()
    for place in places:
        try:
            device = os.stat(place).st_dev
            if device not in synced:
                localfs.sync_filesystem(place)
                synced.add(device)
        except FileNotFoundError:
            continue  # removed since; what is not there needs no sync


def _move(staged: list[Ended]) -> dict[int, str]:
    """Put in place what jobs staged; return the errors, by the identity of the job's entry."""
    errors = {}
    for ended in staged:
        try:
            publish(ended.decision.moves if ended.decision is not None else ())
        except OSError as error:
            errors[id(ended)] = str(error)
    return errors


class GroupCommit:
    """Takes the records of ended jobs, and writes them in batches, overlapped with the jobs that go on.

    :param durable: whether what is recorded as done survives a power cut.
    :param on_committed: called with the jobs whose records are written.
    :param on_failed: called with the jobs whose records are not written, if any, and what went wrong.
    """

    def __init__(
        self,
        durable: bool,
        on_committed: Callable[[list[Ended]], None],
        on_failed: Callable[[list[Ended], str], None],
    ) -> None:
        self._durable = durable
        self._on_committed = on_committed
        self._on_failed = on_failed
        self._pending: list[Ended] = []
        self._committing = 0
        self._written: list[str] = []
        self._syncer = Syncer()
        self._places: dict[TrackedTask, tuple[list[str], bool]] = {}
        self._thread: ThreadPoolExecutor | None = None
        self._work: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stragglers: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def waiting(self) -> int:
        """The number of records that are not written yet."""
        return len(self._pending) + self._committing

    @property
    def busy(self) -> bool:
        """Whether records are about to be written, rather than waiting for a store that is away."""
        return bool(self._pending) or self._writes

    @property
    def _writes(self) -> bool:
        # A task that is cancelled before its first step never gets to say that it has ended.
        return self._work is not None and not self._work.done()

    def open(self) -> None:
        """Begin to gather what has to be made durable."""
        if self._durable:
            localfs.on_written.append(self._written.append)

    async def record(
        self,
        task: TrackedTask,
        done: MetadataRepository | None,
        job: str,
        outcome: Outcome,
        decision: Decision | None = None,
    ) -> None:
        """Take the record of a job; wait only if the disk is far behind."""
        self._pending.append(Ended(task, done, job, outcome, decision))
        if len(self._pending) % BATCH == 0:
            self.start()
            await asyncio.sleep(0)
            if self.waiting >= MOST_PENDING:
                self._room.clear()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BATCH_SECONDS, self.start)
        if not self._room.is_set():
            await self._room.wait()

    def start(self) -> None:
        """Commit what is pending now, rather than when there is more of it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._writes and self._pending:
            self._work = asyncio.get_running_loop().create_task(self._commit_pending())

    async def _commit_pending(self) -> None:
        try:
            while len(self._pending) >= BATCH or (self._timer is None and self._pending):
                batch, self._pending = self._pending, []
                written = self._take_written()
                self._committing += len(batch)
                self._room.set()
                await self._commit(batch, written)
        finally:
            self._work = None
            self._room.set()

    def _take_written(self) -> list[str]:
        """Return the files written so far, and forget them; threads may be adding more."""
        count = len(self._written)
        written = self._written[:count]
        del self._written[:count]
        return written

    async def _commit(self, batch: list[Ended], written: list[str]) -> None:
        """Make durable what the batch's jobs wrote, publish what was staged, then write their records."""
        if any(ended.decision is not None for ended in batch):
            batch = await self._publish(batch, written)
        by_store: dict[MetadataRepository, list[Ended]] = {}
        unrecorded: list[Ended] = []
        for ended in batch:
            if ended.done is not None:
                by_store.setdefault(ended.done, []).append(ended)
            else:
                unrecorded.append(ended)
        embedded = {
            done: jobs for done, jobs in by_store.items() if isinstance(done, SqliteMetadataRepository) and done.inline
        }
        try:
            hit("commit.before_done")
            failures: set[MetadataRepository] = set()
            if self._durable or embedded:
                failures = await self._in_thread(self._sync_and_store, batch, written, embedded)
        except Exception as error:
            # What is not known to be on the disk is not recorded as done: its jobs run again.
            self._give_up(batch, f"what they wrote could not be made durable: {error}")
            return
        await self._finish(unrecorded)
        for done, jobs in by_store.items():
            if done in embedded and done not in failures:
                await self._finish(jobs)
            elif done in embedded or not done.inline or not await self._try_to_store(done, jobs):
                straggler = asyncio.get_running_loop().create_task(self._store(done, jobs))
                self._stragglers.add(straggler)
                straggler.add_done_callback(self._stragglers.discard)

    async def _publish(self, batch: list[Ended], written: list[str]) -> list[Ended]:
        """Put in place what the batch's jobs staged, and return those of which that succeeded."""
        staged = [ended for ended in batch if ended.decision is not None]
        lost: dict[int, str] = {}
        try:
            hit("commit.begin")
            if self._durable and any(ended.decision.moves for ended in staged if ended.decision):
                # A decision stands only for what is on the disk.
                await self._in_thread(self._sync, staged, written)
            hit("commit.synced")
            by_task: dict[TrackedTask, list[Ended]] = {}
            for ended in staged:
                by_task.setdefault(ended.task, []).append(ended)
            for task, jobs in by_task.items():
                standing = await task.book.decide(ended.decision for ended in jobs if ended.decision is not None)
                hit("commit.decided")
                for ended in jobs:
                    if ended.decision is not None and ended.decision.token not in standing:
                        lost[id(ended)] = f"{task.name} {ended.job}: another attempt's results count"
            moving = [ended for ended in staged if id(ended) not in lost and ended.decision and ended.decision.moves]
            if moving:
                lost.update(await self._in_thread(_move, moving))
            hit("commit.published")
        except Exception as error:
            lost.update((id(ended), f"{type(error).__name__}: {error}") for ended in staged)
        for ended in staged:
            if id(ended) in lost:
                self._give_up([ended], f"what it wrote could not be published: {lost[id(ended)]}")
        return [ended for ended in batch if id(ended) not in lost]

    async def _in_thread(self, func: Callable[[Unpack[Arguments]], Answer], *arguments: *Arguments) -> Answer:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="pdt-commit")
        return await asyncio.get_running_loop().run_in_executor(self._thread, func, *arguments)

    def _sync(self, batch: list[Ended], written: list[str]) -> None:
        tasks = [next(group) for _, group in groupby(ended.task for ended in batch)]
        places = [self._places_of(task) for task in dict.fromkeys(tasks)]
        self._syncer.sync(written, (path for paths, _ in places for path in paths), any(open for _, open in places))

    def _sync_and_store(
        self, batch: list[Ended], written: list[str], embedded: dict[SqliteMetadataRepository, list[Ended]]
    ) -> set[MetadataRepository]:
        """Sync, and write the records of embedded stores; return the stores that failed."""
        if self._durable:
            self._sync(batch, written)
        failed: set[MetadataRepository] = set()
        for done, jobs in embedded.items():
            try:
                done.dump_durably({ended.job: ended.outcome for ended in jobs}, self._durable)
            except Exception:  # tried again on the loop, where it is reported
                failed.add(done)
        return failed

    def _places_of(self, task: TrackedTask) -> tuple[list[str], bool]:
        """Return the local directories of a task's outputs, and whether it writes unnoticed by this process."""
        known = self._places.get(task)
        if known is None:
            outputs = leaves_of(link.repo for link in task.links.values() if link.is_output)
            paths = [path for path in (repo.durable_path() for repo in outputs) if path is not None]
            unnoticed = task.runs_elsewhere or not all(isinstance(repo, FileRepository) for repo in outputs)
            known = self._places[task] = (paths, unnoticed)
        return known

    async def _try_to_store(self, done: MetadataRepository, jobs: list[Ended]) -> bool:
        """Write records to one store, some at a time: a store in this process never waits, and others want a turn."""
        for start in range(0, len(jobs), BATCH):
            some = jobs[start : start + BATCH]
            try:
                async with asyncio.timeout(STORE_SECONDS):
                    await done.dump_all({ended.job: ended.outcome for ended in some})
            except Exception:  # tried again, and then reported
                del jobs[:start]
                return False
            await self._finish(some)
            await asyncio.sleep(0)
        return True

    async def _store(self, done: MetadataRepository, jobs: list[Ended]) -> None:
        """Write records to one store, which may be away for a while."""
        for attempt in range(ATTEMPTS - 1):
            if await self._try_to_store(done, jobs):
                return
            await asyncio.sleep(FIRST_DELAY * 2**attempt)
        # One by one, so that a record that cannot be stored keeps no other from it.
        for index, ended in enumerate(jobs):
            try:
                async with asyncio.timeout(STORE_SECONDS):
                    await done.dump(ended.job, ended.outcome)
            except TimeoutError:
                self._give_up(jobs[index:], f"{done!r} did not take their records within {STORE_SECONDS:g} s")
                return
            except Exception as error:
                self._give_up([ended], f"{done!r} would not take their records: {type(error).__name__}: {error}")
            else:
                await self._finish([ended])

    def _give_up(self, jobs: list[Ended], reason: str) -> None:
        self._committing -= len(jobs)
        self._on_failed(jobs, reason)

    async def _finish(self, jobs: list[Ended]) -> None:
        by_task: dict[TrackedTask, list[str]] = {}
        for ended in jobs:
            if ended.task.keeps_attempts:
                by_task.setdefault(ended.task, []).append(ended.job)
        for task, names in by_task.items():
            try:
                hit("commit.done")
                await task.settle(names)
            except Exception as error:  # they are recorded: the next controller settles what is left of them
                task.abandon(names)
                logger.warning("attempts of task %s are not settled: %s", task.name, error, exc_info=error)
        self._committing -= len(jobs)
        self._on_committed(jobs)

    async def flush(self) -> None:
        """Return when every record that was taken is written, or given up."""
        while self.busy or self._stragglers:
            self.start()
            await asyncio.wait([*self._stragglers, *([self._work] if self._work is not None else [])])

    async def close(self) -> None:
        """Write what is left, and stop."""
        try:
            await self.flush()
            if self._durable and self._written:
                await asyncio.to_thread(self._syncer.sync, self._take_written(), (), False)
        except OSError as error:
            self._on_failed([], f"what was written last may not survive a power cut: {error}")
        finally:
            if self._durable:
                localfs.on_written.remove(self._written.append)
            if self._thread is not None:
                self._thread.shutdown()
                self._thread = None
