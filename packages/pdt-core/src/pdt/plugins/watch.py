"""Saying which plugin holds up the event loop, while it does: the loop itself cannot."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from time import monotonic
from traceback import format_stack
from types import coroutine
from typing import Any, Generic, NamedTuple, TypeVar

__all__ = ["Watch"]

Label = TypeVar("Label")

_IDLE_LOOKS = 4


class _Call(NamedTuple):
    label: Any
    thread: int
    since: float


class Watch(Generic[Label]):
    """Looks from a thread at the call that is being made, and reports one that lasts too long.

    The thread is there only while calls are made.

    :param limit: how many seconds a call may take.
    :param report: told the call's label and where it is stuck, from that thread, once for each call.
    """

    def __init__(self, limit: float, report: Callable[[Label, str], None]) -> None:
        self._limit = limit
        self._report = report
        self._lock = threading.Lock()
        self._current: _Call | None = None
        self._looking = False

    def begin(self, label: Label) -> None:
        """Say that a call begins in this thread."""
        with self._lock:
            self._current = _Call(label, threading.get_ident(), monotonic())
            if self._looking:
                return
            self._looking = True
        threading.Thread(target=self._look, name="pdt-plugin-watch", daemon=True).start()

    def end(self) -> None:
        """Say that the call is over."""
        self._current = None

    @coroutine
    def steps(self, label: Label, body: Coroutine[Any, Any, object]) -> Generator[Any, Any, None]:
        """Await a coroutine, each step of it as a call; what it waits for is not counted."""
        step: Callable[[Any], Any] = body.send
        value: Any = None
        while True:
            self.begin(label)
            try:
                awaited = step(value)
            except StopIteration:
                return
            finally:
                self.end()
            try:
                value = yield awaited
                step = body.send
            except GeneratorExit:
                body.close()
                raise
            except BaseException as error:
                value, step = error, body.throw

    def _look(self) -> None:
        idle = 0
        reported: _Call | None = None
        pause = threading.Event()
        while not pause.wait(self._limit / 2):
            with self._lock:
                current = self._current
                idle = 0 if current else idle + 1
                if idle >= _IDLE_LOOKS:
                    self._looking = False
                    return
            if current and current is not reported and monotonic() - current.since >= self._limit:
                reported = current
                frame = sys._current_frames().get(current.thread)
                self._report(current.label, "".join(format_stack(frame)[-3:]) if frame else "")
