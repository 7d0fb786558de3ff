"""What a run is doing, on a terminal: a line for each task that moves, redrawn in place."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, TextIO

from . import output

if TYPE_CHECKING:
    from ..pipeline import Pipeline

__all__ = ["Progress", "TaskProgress", "bar", "duration", "is_wanted", "lines"]

REDRAW_SECONDS = 0.1
BAR_WIDTH = 24
MOST_TASKS = 12


class TaskProgress(NamedTuple):
    """How far one task is.

    :param total: jobs that ended, run or wait to be started, as far as they are known.
    :param again: those of them that failed and wait to be tried again.
    """

    name: str
    ok: int
    failed: int
    total: int
    again: int = 0

    @property
    def ended(self) -> int:
        """The number of jobs that ended."""
        return self.ok + self.failed


def bar(share: float, width: int = BAR_WIDTH) -> str:
    """Return a bar that is filled to a share between 0 and 1."""
    full = int(share * width)
    return "#" * full + "-" * (width - full)


def duration(seconds: float) -> str:
    """Return a time span as minutes and seconds, or hours and minutes."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}"


def lines(tasks: list[TaskProgress], seconds: float) -> list[str]:
    """Return what is shown after `seconds` of a run."""
    moving = [task for task in tasks if task.total]
    shown = moving[-MOST_TASKS:]
    width = max((len(task.name) for task in shown), default=0)
    found = [
        f"{task.name:{width}} [{bar(task.ended / task.total)}] {task.ended}/{task.total}"
        + (f", {task.failed} failed" if task.failed else "")
        + (f", {task.again} to be tried again" if task.again else "")
        for task in shown
    ]
    ended, total = sum(task.ended for task in moving), sum(task.total for task in moving)
    rate = ended / seconds if seconds > 0 else 0.0
    left = f", {duration((total - ended) / rate)} left" if rate and total > ended else ""
    return [*found, f"{ended}/{total} jobs, {rate:.0f}/s, {duration(seconds)}{left}"]


class Progress:
    """Shows how far a run is.

    :param pipeline: the open pipeline.
    :param stream: the terminal.
    """

    def __init__(self, pipeline: Pipeline, stream: TextIO) -> None:
        self._pipeline = pipeline
        self._stream = stream
        self._since = time.monotonic()
        self._height = 0

    async def show(self) -> None:
        """Redraw until cancelled."""
        try:
            while True:
                await asyncio.sleep(REDRAW_SECONDS)
                self.draw()
        finally:
            self.clear()

    def draw(self) -> None:
        """Show the state of now in place of what was shown before."""
        width, height = _size(self._stream)
        shown = lines(list(self._tasks()), time.monotonic() - self._since)[-(height - 1) :]
        text = "\n".join(output.printable(line)[: width - 1] for line in shown)
        self._stream.write(f"{self._back()}{text}")
        self._stream.flush()
        self._height = len(shown)

    def clear(self) -> None:
        """Remove what is shown."""
        if self._height:
            self._stream.write(self._back())
            self._stream.flush()
            self._height = 0

    def _back(self) -> str:
        up = f"\x1b[{self._height - 1}A" if self._height > 1 else ""
        return f"\r{up}\x1b[J"

    def _tasks(self) -> Iterator[TaskProgress]:
        runner = self._pipeline.runner
        report, launcher = runner.report, runner.launcher
        again = Counter(
            name
            for name, job in launcher.retries.things()
            if launcher.retries.wait((name, job)) and job not in launcher.lanes[name].in_flight
        )
        for name in self._pipeline.tasks:
            ok, failed = report.succeeded[name], report.failed[name]
            under_way = len(launcher.lanes[name].in_flight) + launcher.plan.waiting(name)
            under_way += again[name]  # they are in no plan until it is time
            yield TaskProgress(name, ok, failed, ok + failed + under_way, again[name])


def _size(stream: TextIO) -> tuple[int, int]:
    try:
        width, height = os.get_terminal_size(stream.fileno())
    except OSError:
        width, height = 80, 24
    return max(width, 20), max(height, 4)


def is_wanted(asked: bool | None) -> bool:
    """Tell whether progress is to be shown: where it was asked for, or else on a terminal."""
    if asked is not None:
        return asked
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
