"""A detector of calls that hold an event loop: while one callback runs, nothing else of the program does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["LIMIT_S", "BlockingCall", "watch_event_loops"]

LIMIT_S = 0.5


@dataclass(frozen=True)
class BlockingCall:
    """A callback that held its event loop for too long."""

    callback: str
    seconds: float


class _RunQueue:
    """How long the thread that made this has waited for a processor."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        try:
            self._fd = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._fd = -1

    def waited_s(self) -> float:
        return int(os.pread(self._fd, 64, 0).split()[1]) / 1e9 if self._fd >= 0 else 0.0

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


class _RunQueues(threading.local):
    """Each thread's own, so that a busy machine is not taken for a blocking call."""

    queue: _RunQueue | None = None

    def waited_s(self) -> float:
        if self.queue is None or self.queue.pid != os.getpid():
            self.queue = _RunQueue()
        return self.queue.waited_s()


def _describe(handle: asyncio.Handle) -> str:
    """Name the task that a handle steps, or else its callback."""
    callback: object = handle._callback  # type: ignore[attr-defined]
    owner = getattr(callback, "__self__", None)
    return repr(owner if isinstance(owner, asyncio.Task) else handle)


@contextlib.contextmanager
def watch_event_loops(limit_s: float = LIMIT_S) -> Iterator[list[BlockingCall]]:
    """Collect the callbacks of every event loop of this process that hold it for longer than the limit."""
    found: list[BlockingCall] = []
    run_queues = _RunQueues()
    original = asyncio.Handle._run

    def run(self: asyncio.Handle) -> None:
        queued = run_queues.waited_s()
        started = time.perf_counter()
        original(self)
        held = time.perf_counter() - started
        if held > limit_s:
            held -= run_queues.waited_s() - queued
            if held > limit_s:
                found.append(BlockingCall(_describe(self), held))

    asyncio.Handle._run = run  # type: ignore[method-assign]
    try:
        yield found
    finally:
        asyncio.Handle._run = original  # type: ignore[method-assign]
