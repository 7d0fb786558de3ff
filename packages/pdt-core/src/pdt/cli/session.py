"""One `pdt run`: the pipeline open, signals handled, progress shown, and what was done said at the end."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from ..engine.report import Report
from ..pipeline import Pipeline
from ..task.base import Task
from ..task.executor import ExecutorTask
from ..task.tracked import TrackedTask
from . import exits, output
from .drive import open_pipeline
from .interrupts import Interrupts
from .log import current_handler
from .output import counted
from .progress import Progress, duration, is_wanted
from .summary import print_problems, summary_lines

__all__ = ["run_session"]

TAKEN_OVER = "run on as processes, and the next run takes them over"
TAKEN_OVER_ONE = "runs on as a process, and the next run takes it over"


def run_session(
    pipeline: Pipeline,
    *,
    forever: bool,
    launch_once: bool,
    timeout: float | None,
    fail_fast: bool,
    shared: bool,
    quiet: bool,
    progress: bool | None,
) -> int:
    """Run a pipeline and return the exit status; see `pdt.cli.commands.run.run`.

    :param pipeline: closed, or open for this run only.
    """
    session = _Session(pipeline, forever, quiet, shared)
    shown = Progress(pipeline, sys.stderr) if is_wanted(progress) and not quiet else None
    return asyncio.run(session.run(launch_once, timeout, fail_fast, shown))


class _Session:
    def __init__(self, pipeline: Pipeline, forever: bool, quiet: bool, shared: bool) -> None:
        self._pipeline = pipeline
        self._forever = forever
        self._quiet = quiet
        self._shared = shared
        self._runs = False
        self._left = 0
        self._shown: Progress | None = None

    async def run(self, launch_once: bool, timeout: float | None, fail_fast: bool, shown: Progress | None) -> int:
        self._shown = shown
        interrupts = Interrupts(self._stop)
        threads = _Threads()
        asyncio.get_running_loop().set_default_executor(threads)
        with ExitStack() as stack:
            stack.enter_context(interrupts.handled())
            handler = current_handler()
            if not self._forever:  # else they are wanted when they happen, as there may be no end
                stack.callback(handler.hold("pdt.engine", logging.ERROR))
            if shown is not None:
                handler.before.append(shown.clear)
                stack.callback(handler.before.remove, shown.clear)
            try:
                status = await self._open_and_run(launch_once, timeout, fail_fast)
            except asyncio.CancelledError:
                if not interrupts.count:
                    raise
                status = exits.INTERRUPTED
                output.note("interrupted")
                if self._runs:
                    self._say_what_becomes_of_the_rest()
        if threads.busy or any(_running(task) for task in self._pipeline.tasks.values()):
            leave(status)
        return status

    async def _open_and_run(self, launch_once: bool, timeout: float | None, fail_fast: bool) -> int:
        if not self._pipeline.is_open:
            await open_pipeline(self._pipeline)
        try:
            return await self._run_open(launch_once, timeout, fail_fast)
        finally:
            await self._pipeline.close()

    async def _run_open(self, launch_once: bool, timeout: float | None, fail_fast: bool) -> int:
        since = time.monotonic()
        try:
            async with asyncio.timeout(timeout) as deadline, asyncio.TaskGroup() as group:
                shower = group.create_task(self._shown.show()) if self._shown is not None else None
                self._pipeline.take_control(shared=self._shared)
                self._pipeline.runner  # noqa: B018  from here on there is something to stop
                self._runs = True
                report = await self._pipeline.run(forever=self._forever, launch_once=launch_once, fail_fast=fail_fast)
                if shower is not None:
                    shower.cancel()
        except TimeoutError:
            if not deadline.expired():
                raise
            print_problems(self._pipeline.runner.report)
            output.fail(
                f"the pipeline was not done after {timeout:g} s",
                "run it again: it goes on where it is, with more time",
            )
            return exits.TIMED_OUT
        self._conclude(report, time.monotonic() - since)
        return report.exit_code

    def _stop(self) -> bool:
        """Let the run end, if there is one, and say so."""
        if not self._runs:
            return False
        if self._shown is not None:
            self._shown.clear()
        launcher = self._pipeline.runner.launcher
        lanes = launcher.lanes.values()
        self._left = len(launcher.plan) + sum(len(lane.in_flight) for lane in lanes)
        self._pipeline.stop()
        staying = sum(len(lane.in_flight - lane.freed) for lane in lanes if _outlives(lane.task))
        running = sum(len(lane.in_flight) - _withdrawn(lane.task) for lane in lanes if not _outlives(lane.task))
        self._left -= running + staying
        said = [f"{counted(running, 'job')} running"] if running or not staying else []
        if staying:
            said.append(f"{counted(staying, 'job')} {TAKEN_OVER if staying > 1 else TAKEN_OVER_ONE}")
        output.note(f"stopping: {'; '.join(said)}; Ctrl-C again leaves at once")
        return True

    def _say_what_becomes_of_the_rest(self) -> None:
        """Say, where the run was left at once, what becomes of the jobs that were running."""
        kinds = {_outlives(task) for task in self._pipeline.tasks.values()}
        if False in kinds:
            functions = " in this process" if True in kinds else ""
            output.note(f"the jobs that were running{functions} start again when you run the pipeline again")
        if True in kinds:
            output.note("processes of jobs run on, and the next run takes them over")

    def _conclude(self, report: Report, seconds: float) -> None:
        if not self._forever:
            print_problems(report)
        if not self._quiet:
            for line in summary_lines(self._pipeline):
                output.note(line)
            output.note(f"{'stopped' if report.interrupted else 'done'} after {duration(seconds)}")
        if report.interrupted:
            output.note(f"interrupted: {counted(self._left, 'job')} left to start; the same command goes on with them")
            staying = sum(task.running for task in self._pipeline.tasks.values() if _outlives(task))
            if staying:
                what = TAKEN_OVER if staying > 1 else TAKEN_OVER_ONE
                output.note(f"{counted(staying, 'job')} {what}; pdt cancel TASK JOB ends one")


class _Threads(ThreadPoolExecutor):
    """The event loop's threads, which know whether any is at work: none can be stopped."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="asyncio")
        self._given: set[Future[Any]] = set()

    @property
    def busy(self) -> bool:
        """Whether a thread is at work."""
        return any(future.running() for future in list(self._given))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function in a thread."""
        future = super().submit(fn, *args, **kwargs)
        self._given.add(future)
        future.add_done_callback(self._given.discard)
        return future


def _outlives(task: Task) -> bool:
    return isinstance(task, TrackedTask) and task.outlives


def _running(task: Task) -> bool:
    return isinstance(task, TrackedTask) and bool(task.running_jobs)


def _withdrawn(task: Task) -> int:
    """Return how many of a task's jobs were taken back before they began, and are counted as running still."""
    return sum(future.cancelled() for future in task.rev_jobs.values()) if isinstance(task, ExecutorTask) else 0


def leave(status: int) -> None:
    """End the process without waiting for functions that run on in threads or processes of its own."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None:
        for child in multiprocessing.active_children():
            child.terminate()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            pass  # nobody reads it any more
    os._exit(status)
