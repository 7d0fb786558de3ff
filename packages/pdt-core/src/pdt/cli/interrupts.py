"""Ctrl-C, SIGTERM and SIGHUP during a run: once, it starts nothing more and lets what is its own end; twice, it leaves.

Processes that outlive it are left running, for the next run to take over. A third ends the process on the spot,
whatever it is doing.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

from . import exits

__all__ = ["Interrupts"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Whether a run handles the signals now, so that processes which it forks must not.
_handling: list[Interrupts] = []


class Interrupts:
    """Counts the signals that arrive while a run goes on.

    :param stop: called at the first; it tells whether there is a run to stop.
    """

    def __init__(self, stop: Callable[[], bool]) -> None:
        self.count = 0
        self._stop = stop
        self._main: asyncio.Task[object] | None = None

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals while the block runs, in the task that it runs in."""
        if current_thread() is not main_thread():  # signals are not for this thread
            yield
            return
        loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        _handling.append(self)
        for number in SIGNALS:
            loop.add_signal_handler(number, self.interrupt)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
            _handling.remove(self)

    def interrupt(self) -> None:
        """Take one signal."""
        self.count += 1
        if self.count == 1 and self._stop():
            return
        if self.count > 2:
            os._exit(exits.INTERRUPTED)
        if self._main is not None:
            self._main.cancel()


def _forget_in_child() -> None:
    """Keep a forked worker from dying of a Ctrl-C, and from telling this process's loop of it once more."""
    if _handling:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


os.register_at_fork(after_in_child=_forget_in_child)
