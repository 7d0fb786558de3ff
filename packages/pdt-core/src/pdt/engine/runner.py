"""The run loop: look, decide, launch, and wait for something to happen."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from ..attempts.requests import CancelRequests
from ..errors import ConfigurationError
from ..plugins.hooks import Hooks
from ..task.base import Task
from ..task.record import DirectRecorder
from ..task.tracked import TrackedTask
from .explain import explain, never_fits
from .launch import Launcher
from .look import UPDATE_PATIENCE, Looker, View, cancel_and_wait
from .others import Others
from .report import Report
from .verdict import Verdict

if TYPE_CHECKING:
    from ..pipeline import Pipeline

__all__ = ["Runner"]

logger = logging.getLogger("pdt.engine")

#: Seconds between looks at what cannot tell that it has changed: the least, and the most, when nothing moves.
POLL_SECONDS = (0.05, 1.0)
#: A look is repeated at once when nothing is in flight; else when this many times its own duration has passed.
PAUSE_SHARE = 4
#: Likewise, while there are jobs left to start.
BUSY_SHARE = 40
BUSY_SECONDS = 0.1


class Runner:
    """Drives one open pipeline.

    :param pipeline: the pipeline.
    :param hooks: what plugins want to be told.
    """

    def __init__(self, pipeline: Pipeline, hooks: Hooks) -> None:
        self._pipeline = pipeline
        self._hooks = hooks
        self.report = Report()
        self.view = View()
        self._awake = asyncio.Event()
        self.launcher = Launcher(
            pipeline.tasks,
            self.report,
            hooks,
            self._notify,
            lambda task, jobs: hooks.vetoes(pipeline, task, jobs),
            self._note_change,
            self._awake.set,
            durable=pipeline.durability == "power",
            patience=pipeline.patience,
        )
        self._looker = Looker(pipeline.tasks, self.report, pipeline.listings)
        self._working = False
        self._stopping = False
        self._changed = True
        self._woken: set[Task] = set()
        #: Jobs of functions that another process asked to cancel.
        self._ending: list[tuple[TrackedTask, str]] = []
        self._live = False
        self._loop = asyncio.get_running_loop()
        self._notices: set[asyncio.Task[None]] = set()
        self._round: asyncio.Task[None] | None = None
        self._looked_at = self._look_cost = 0.0
        #: Those that share the pipeline, if it is shared.
        self._others: Others | None = None
        #: Whether none of them was at work before the last look.
        self._was_alone = False

    def wake(self, task: Task) -> None:
        """Say, from any thread, that something has happened which a task should look at."""
        if asyncio._get_running_loop() is self._loop:
            self._note_wake(task)
            return
        try:
            self._loop.call_soon_threadsafe(self._note_wake, task)
        except RuntimeError:
            return  # the loop is closed: nobody is left to be told

    def _note_wake(self, task: Task) -> None:
        self._woken.add(task)
        self._note_change()

    def _note_change(self) -> None:
        self._changed = True
        self._awake.set()

    def _notify(self, hook: str, **arguments: object) -> asyncio.Task[None]:
        notice = self._loop.create_task(self._hooks.notify(hook, pipeline=self._pipeline, **arguments))
        self._notices.add(notice)
        notice.add_done_callback(self._notices.discard)
        return notice

    def _tell_round(self) -> None:
        """Tell plugins of a round, unless they are still busy with an earlier one."""
        if self._hooks.active("pdt_round_finished") and (self._round is None or self._round.done()):
            self._round = self._notify("pdt_round_finished", summary=self.report)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Take records and events while the block runs; when it ends, everything that was taken is written.

        :raises ConfigurationError: if another such block runs.
        """
        if self._working:
            raise ConfigurationError(
                f"pipeline {self._pipeline.name!r} is being run already",
                fix="wait until that has returned, or stop it with its stop()",
            )
        self._working = True
        tracked = [task for task in self._pipeline.tasks.values() if isinstance(task, TrackedTask)]
        for task in self._pipeline.tasks.values():
            task.wake = partial(self.wake, task)
        for task in tracked:
            task.recorder = self.launcher.commit
            task.on_free = self.launcher.free
        self._others = self._find_others()
        self.launcher.shared = self._others is not None
        self.launcher.open()
        try:
            yield
        except asyncio.CancelledError:
            for task in tracked:
                task.hurry()
            raise
        finally:
            try:
                await self.launcher.close()
                await self._looker.close()
                if self._others is not None:
                    await self._others.close()
                if self._notices:
                    await asyncio.wait(self._notices)
            finally:
                self._working = False
                await cancel_and_wait(self._notices)
                for task in self._pipeline.tasks.values():
                    task.wake = None
                for task in tracked:
                    task.recorder = DirectRecorder()
                    task.on_free = None

    def _find_others(self) -> Others | None:
        lock, lanes = self._pipeline.shared_lock, self.launcher.lanes
        if lock is None:
            return None
        return Others(lock, self._pipeline.tasks, lambda name: lanes[name].in_flight, self._note_change)

    async def update(self) -> bool:
        """Let every task look after its live jobs, and tell whether anything is live or happened."""
        self._woken.clear()
        if self._others is not None:
            await self._others.look_sometimes()
        self.launcher.take_over()  # before the ends of what it does not know are dealt with
        self._live = await self._looker.update()
        self.launcher.take_over()
        await self._cancel_what_is_asked()
        self.launcher.release_ended()
        for manager in self._pipeline.resource_managers:
            await manager.flush()
        return self._live

    async def _get_tasks_ready(self) -> None:
        """Let every task read what an earlier controller left."""
        for task in self._pipeline.tasks.values():
            if isinstance(task, TrackedTask):
                try:
                    async with asyncio.timeout(UPDATE_PATIENCE):
                        await task.get_ready()
                except Exception:  # whatever is started needs it as well, and says so
                    logger.debug("task %s is not ready", task.name, exc_info=True)

    async def _cancel_what_is_asked(self) -> None:
        """Cancel the jobs that another process asked for."""
        tasks = self._pipeline.tasks
        if not self._pipeline.has_ledger:
            return  # nobody has asked for anything
        self._ending.clear()
        for name, job in await CancelRequests(self._pipeline.ledger).take(self._is_asked):
            task = tasks.get(name)
            if isinstance(task, TrackedTask):
                await task.cancel(job)
        for task, job in self._ending:
            await self.launcher.cancel(task, job)

    def _is_asked(self, name: str, job: str) -> bool:
        """Tell whether a request is to be taken now: not one for another controller of a shared pipeline.

        One for the job of a function stays until its end is recorded: only this process knows whether it runs.
        """
        task = self._pipeline.tasks.get(name)
        if not isinstance(task, TrackedTask):
            return True
        if self._others is not None and job not in task.claimed:
            return False
        if not task.outlives and job in self.launcher.lanes[name].in_flight:
            self._ending.append((task, job))
            return False
        return True

    async def _reap(self) -> None:
        """Let the tasks that have woken the engine look at what has happened."""
        if not all(isinstance(task, TrackedTask) and task.is_quick for task in self._woken):
            await self.update()
            return
        self.launcher.take_over()
        woken, self._woken = self._woken, set()
        for task in woken:
            try:
                await task.update()
            except Exception:  # tried again by the next round, which reports it
                logger.debug("update of task %s failed", task.name, exc_info=True)
                self._note_change()
        self.launcher.release_ended()

    async def look(self) -> None:
        """List every repository once, and plan to start what is ready."""
        self._changed = False
        self.view = View()  # its listings make room for the next
        self.view = await self._looker.look(self.launcher.begin_look())
        self.launcher.take(self.view, self._pipeline.priority)

    async def launch_ready(self) -> bool:
        """Start everything that is ready once, wait for the launches, and tell whether anything was ready."""
        await self._get_tasks_ready()
        self.launcher.take_over()
        await self.look()
        ready = bool(self.launcher.plan.levels) or self._soonest() is not None
        while await self.launcher.dispatch():
            await self.launcher.settle()
        await self.launcher.settle()
        for manager in self._pipeline.resource_managers:
            await manager.flush()
        return ready

    async def run(self, *, forever: bool = False, launch_once: bool = False, fail_fast: bool = False) -> Report:
        """Update and launch until nothing moves any more.

        :param forever: go on when nothing moves, until stopped.
        :param launch_once: launch what is ready at first, and then only wait for it.
        :param fail_fast: start nothing more after the first failure.
        """
        self._begin()
        poll = POLL_SECONDS[0]
        looks = 0
        while True:
            if fail_fast and (self.report.failed or self.report.problems) and not self._stopping:
                self._stopping = True
                self.launcher.clear()
            if self._woken:  # what has ended makes room, however long the next look is put off
                await self._reap()
            if self._changed and not self._until_look():
                started_at = time.monotonic()
                await self.update()
                if not looks:
                    started_at = time.monotonic()  # what an earlier controller left is taken over once
                looking = not self._stopping and not (launch_once and looks)
                if looking:
                    await self.look()
                    looks += 1
                else:
                    self._changed = False
                self._looked_at = time.monotonic()
                self._look_cost = self._looked_at - started_at
                self._tell_round()
            if await self.launcher.dispatch():
                poll = POLL_SECONDS[0]
                self._was_alone = False
                continue
            is_quiet = self._is_quiet(waits_count=not (launch_once and looks))
            waits = not (launch_once or self._stopping)
            self._was_alone = self._was_alone and is_quiet
            if is_quiet and (self._stopping or not forever) and not (waits and await self._others_work()):
                break
            await self._pause(poll)
            poll = min(poll * 1.5, POLL_SECONDS[1])
        self._conclude()
        return self.report

    async def _others_work(self) -> bool:
        """Tell whether another controller works on a job, or did before the last look."""
        if self._others is None or self._was_alone:
            return False
        if any(isinstance(task, TrackedTask) and task.has_abandoned for task in self._pipeline.tasks.values()):
            return False  # the next controller takes that over, which may be waiting for this one
        self._was_alone = not await self._others.are_at_work()
        if self._was_alone:
            self._note_change()  # what they have done since the last look may have made jobs ready
        return True

    def _begin(self) -> None:
        """Start over: what an earlier run reported, gave up or was told is not for this one."""
        self._stopping = self._was_alone = False
        self._changed = True
        self.report = self.launcher.report = self._looker.report = Report()
        self.launcher.begin()
        self._looker.begin()

    def _until_look(self) -> float:
        """Return the seconds until a look is due, given that something has changed."""
        if not self.launcher.in_flight:
            return 0.0
        if self.launcher.only_records_left:
            return inf
        if self.launcher.plan.levels or self.launcher.queued:
            wait = max(self._look_cost * BUSY_SHARE, BUSY_SECONDS)
        else:
            wait = self._look_cost * PAUSE_SHARE
        return max(0.0, self._looked_at + wait - time.monotonic())

    def _is_quiet(self, waits_count: bool) -> bool:
        """Tell whether nothing is under way, and nothing waits for its time."""
        if self._stopping and self.report.interrupted and not self.launcher.must_finish:
            return True  # what outlives this controller is the next one's
        if self._changed or self._live or self.launcher.in_flight:
            return False
        if self._stopping or not waits_count:
            return True
        if self._looker.listing:
            return False
        quotas = self.launcher.quotas.failures
        waiting = [name for name in self.launcher.plan.tasks() if not quotas.given_up(name)]
        if any(never_fits(self._pipeline.tasks[name]) is None for name in waiting):
            return False
        return self._soonest() is None

    def _soonest(self) -> float | None:
        """Return the seconds until something that failed is tried again, or None if nothing is to be."""
        launcher, looker = self.launcher, self._looker
        of_jobs = (launcher.failures, launcher.idle, launcher.retries)
        waits = [backoff.soonest() for backoff in (*of_jobs, launcher.quotas.failures, looker.updates, looker.listings)]
        return min((wait for wait in waits if wait is not None), default=None)

    async def _pause(self, poll: float) -> None:
        """Wait until something happens, or it is time to look at what cannot tell."""
        waits = (self._soonest(), self.launcher.vetoes.soonest(), poll)
        due = min(wait for wait in waits if wait is not None)
        if not due:
            self._changed = True  # only a look can plan what was put off until now
        wait = min(poll, self._until_look() if self._changed else due)
        if not wait:
            await asyncio.sleep(0)  # what is under way gets its turn before
            return
        self._awake.clear()
        if self.launcher.only_records_left:
            self.launcher.commit.start()
        alarm = self._loop.call_later(wait, self._note_change)
        try:
            await self._awake.wait()
        finally:
            alarm.cancel()

    def stop(self) -> None:
        """Start nothing more, from any thread; run() returns when what is under way has ended."""
        if asyncio._get_running_loop() is not self._loop:
            self._loop.call_soon_threadsafe(self.stop)
            return
        self._stopping = True
        self.report.interrupted = True
        self.launcher.clear()
        self._note_change()

    def _conclude(self) -> None:
        """Say what a run leaves undone that it should have done."""
        self._looker.report_abandoned()
        for name, reason in self.launcher.quotas.failures.abandoned().items():
            self.report.problem(f"the quota of task {name!r} failed: {reason}", backend=True)
        for name, reason in self._others.failures.abandoned().items() if self._others is not None else ():
            self.report.problem(f"what is left of task {name!r} could not be taken over: {reason}", backend=True)
        self.launcher.report_given_up()
        for name in sorted(self.launcher.plan.tasks()):
            task = self._pipeline.tasks[name]
            if never_fits(task) is not None:
                verdict = self.explain(task, self.launcher.plan.next_job(name))
                count = self.launcher.plan.waiting(name)
                self.report.problem(f"{count} jobs of task {name!r} can never start: {verdict.reason}")

    def explain(self, task: Task, job: str) -> Verdict:
        """Say of one job what the engine decides about it, by the last look."""
        return explain(task, job, self.view, self.launcher, self._pipeline.tasks)
