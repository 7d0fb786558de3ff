"""What is recorded of a job's end, and who keeps it."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from .. import localfs
from ..failpoints import hit
from ..repository.base import MetadataRepository

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..attempts.book import Decision
    from .tracked import TrackedTask

__all__ = ["DirectRecorder", "Outcome", "Recorder", "StoppedError", "failure", "now", "publish", "success"]

Outcome = dict[str, Any]
MOST_FRAMES = 200


class Recorder(Protocol):
    """Who takes the records of ended jobs; the engine's gathers them, to make many durable together."""

    async def record(
        self,
        task: TrackedTask,
        done: MetadataRepository | None,
        job: str,
        outcome: Outcome,
        decision: Decision | None = None,
    ) -> None:
        """Take the record of a job; what was decided is published, and then it is in `done`, sooner or later."""
        ...


class DirectRecorder:
    """Writes each record at once."""

    async def record(
        self,
        task: TrackedTask,
        done: MetadataRepository | None,
        job: str,
        outcome: Outcome,
        decision: Decision | None = None,
    ) -> None:
        """Publish what was decided, and write the record of a job."""
        if decision is not None:
            await task.book.decide([decision])
            await localfs.in_thread(publish, decision.moves)
        if done is not None:
            await done.dump(job, outcome)
        await task.settle([job])


def publish(moves: Sequence[Sequence[str]]) -> None:
    """Put staged files and directories in place; what is there already is left as it is.

    :raises OSError: if one cannot be.
    """
    for staged, target in moves:
        hit("publish.move")
        localfs.move_into_place(staged, target)
        hit("publish.moved")


class StoppedError(Exception):
    """A body was ended from outside.

    :param reason: "timeout" or "cancelled".
    :param timeout: Optional: how many seconds it was allowed to take.
    """

    def __init__(self, reason: str, timeout: float | None = None) -> None:
        super().__init__(f"it took longer than {timeout:g} s" if reason == "timeout" else f"it was {reason}")
        self.reason = reason


def now() -> datetime:
    """Return the time of day."""
    return datetime.now(UTC)


def success(start: datetime, end: datetime) -> Outcome:
    """Return the record of a body that returned."""
    return {
        "result": "success",
        "success": True,
        "reason": "success",
        "attempt": 1,
        "start_time": start,
        "end_time": end,
    }


def failure(error: BaseException, start: datetime, end: datetime) -> Outcome:
    """Return the record of a body that raised."""
    return {
        "result": "exception",
        "success": False,
        "reason": "exception",
        "attempt": 1,
        "exception": _shown(error),
        "traceback": [_storable(line) for line in traceback.format_exception(error, limit=-MOST_FRAMES)],
        "start_time": start,
        "end_time": end,
    }


def _storable(text: str) -> str:
    """Return a text without halves of surrogate pairs, which messages about file names have and no file can hold."""
    return text.encode(errors="backslashreplace").decode()


def _shown(error: BaseException) -> str:
    try:
        return _storable(repr(error))
    except Exception as broken:  # a stranger's __repr__ may do anything
        return f"{type(error).__name__} (its repr() raised {type(broken).__name__})"
