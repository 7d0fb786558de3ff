"""The first half of a round: let tasks look after what is live, list every repository once, compute what may start."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, field

from ..repository.base import Repository
from ..task.base import Task
from ..task.tracked import TrackedTask
from .backoff import Backoff
from .readiness import Readiness, ready_jobs
from .report import Report
from .snapshot import Lister, Remembered, Snapshot, transient_leaves

__all__ = ["Looker", "View", "cancel_and_wait", "look_once"]

logger = logging.getLogger("pdt.engine")

#: Seconds after which a round goes on without a task whose update has not returned.
UPDATE_PATIENCE = 10.0
#: Seconds after which an update or a listing that has not returned no longer keeps a run from ending.
GIVE_UP = 600.0
#: What fails is tried this often in a run, the first time again after this many seconds.
ATTEMPTS = 5
FIRST_DELAY = 0.25
LONGEST_DELAY = 60.0


@dataclass
class View:
    """What the last look found.

    :param snapshot: the listings.
    :param readiness: by task's name, what may start as far as the listings say.
    :param ready: by task's name, the repository that says so.
    """

    snapshot: Snapshot = field(default_factory=Snapshot)
    readiness: dict[str, Readiness] = field(default_factory=dict)
    ready: dict[str, Repository] = field(default_factory=dict)


class Looker:
    """Updates tasks and takes snapshots; what fails is reported, backed off and left out.

    :param tasks: the pipeline's tasks, by name.
    :param report: takes what goes wrong for good.
    :param remembered: Optional: listings from before, each with its stamp.
    """

    def __init__(self, tasks: Mapping[str, Task], report: Report, remembered: Remembered | None = None) -> None:
        self._tasks = tasks
        self.report = report
        self._lister = Lister(self._listing_failed, remembered)
        self._transient = transient_leaves(tasks.values())
        self._updating: dict[str, tuple[float, asyncio.Task[bool]]] = {}
        self._slow: set[str] = set()
        self.updates: Backoff[str] = Backoff(FIRST_DELAY, LONGEST_DELAY, ATTEMPTS)
        self.listings: Backoff[Repository] = Backoff(FIRST_DELAY, LONGEST_DELAY, ATTEMPTS)

    def begin(self) -> None:
        """Forget what failed in an earlier run."""
        self.updates.clear()
        self.listings.clear()
        self._lister.retry_at.clear()

    async def update(self) -> bool:
        """Let every task look after its live jobs, and tell whether anything is live or happened."""
        now = time.monotonic()
        for name, task in self._tasks.items():
            if name not in self._updating and not self.updates.wait(name):
                # Not in a task group, which would wait for ever for an update that never returns.
                update = asyncio.get_running_loop().create_task(_update(task), name=f"pdt update {name}")
                self._updating[name] = (now, update)
        patient = [update for since, update in self._updating.values() if now - since < UPDATE_PATIENCE]
        if patient:
            await asyncio.wait(patient, timeout=UPDATE_PATIENCE)
        busy = [self._updated(name, since, update) for name, (since, update) in [*self._updating.items()]]
        return any(busy)

    def _updated(self, name: str, since: float, update: asyncio.Task[bool]) -> bool:
        if not update.done():
            if time.monotonic() - since < GIVE_UP:
                if name not in self._slow:
                    self._slow.add(name)
                    logger.warning("update of task %s has not returned for %g s", name, UPDATE_PATIENCE)
                return True
            self.report.problem(f"update of task {name!r} does not return", backend=True)
            return False
        del self._updating[name]
        self._slow.discard(name)
        error = None if update.cancelled() else update.exception()
        if update.cancelled() or error is not None:
            reason = "it was cancelled" if error is None else f"{type(error).__name__}: {error}"
            self.updates.failed(name, reason)
            logger.warning("update of task %s failed: %s", name, reason, exc_info=error)
            return False
        self.updates.succeeded(name)
        return bool(update.result())

    async def look(self, busy: Mapping[str, Set[str]]) -> View:
        """List every repository once, and compute what may start.

        :param busy: by task, jobs that are in flight or were since the look began; read after the listing.
        """
        enabled = {name: task for name, task in self._tasks.items() if not task.disabled}
        ready = {name: task.ready for name, task in enabled.items()}
        snapshot = await self._lister.take(ready.values(), self._transient)
        for repo in (*snapshot.keys, *snapshot.items):
            self.listings.succeeded(repo)
        view = View(snapshot, ready=ready)
        for name, task in enabled.items():
            found = view.readiness[name] = ready_jobs(task, ready[name], snapshot, busy[name])
            if found.skipped:  # everything required holds them; a ready repository may be made anew for each look
                lasting = ready[name] if task.has_ready_override else next(iter(task.required_for_start.values()))
                lasting.report_skipped(found.skipped)
        return view

    @property
    def listing(self) -> bool:
        """Whether a listing is under way that may still return."""
        now = time.monotonic()
        return any(now - since < GIVE_UP for since, _ in self._lister.under_way.values())

    def _listing_failed(self, repo: Repository, error: BaseException) -> None:
        reason = f"{type(error).__name__}: {error}"
        self._lister.retry_at[repo] = time.monotonic() + self.listings.failed(repo, reason)
        logger.warning("listing %r failed: %s", repo, reason, exc_info=error)

    def report_abandoned(self) -> None:
        """Say what could not be listed or updated to the end."""
        for repo, reason in self.listings.abandoned().items():
            self.report.problem(f"{repo!r} could not be listed: {reason}", backend=True)
        for repo in self._lister.under_way:
            self.report.problem(f"{repo!r} could not be listed: it does not answer", backend=True)
        for name, reason in self.updates.abandoned().items():
            self.report.problem(f"update of task {name!r} failed: {reason}", backend=True)

    async def close(self) -> None:
        """Stop what is still under way."""
        await self._lister.close()
        await cancel_and_wait([update for _, update in self._updating.values()])
        self._updating.clear()


async def _update(task: Task) -> bool:
    try:
        if isinstance(task, TrackedTask):
            await task.get_ready()
        return bool(await task.update())
    except SystemExit as error:  # it would end the event loop itself
        raise RuntimeError(f"it raised SystemExit: {error}") from error


async def look_once(tasks: Mapping[str, Task]) -> View:
    """List what `tasks` depend on and compute what may start, with nothing in flight."""
    looker = Looker(tasks, Report())
    try:
        return await looker.look({name: frozenset() for name in tasks})
    finally:
        await looker.close()


async def cancel_and_wait(tasks: Collection[asyncio.Task[bool]] | Collection[asyncio.Task[None]]) -> None:
    """Cancel asyncio tasks and wait for their end, whatever it is."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.exception()
