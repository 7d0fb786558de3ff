"""The worker processes of a pool that a task has made, which can be ended."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .board import Board
from .worker import follow_from_start

if TYPE_CHECKING:
    from concurrent.futures import Executor, ProcessPoolExecutor

__all__ = ["Workers", "workers_of"]


class Workers:
    """The processes of a pool that has none yet.

    :param executor: the pool.
    """

    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self.board = Board()
        follow_from_start(executor, self.board)
        # The pool forgets them when it is shut down, however long they go on.
        self._processes = executor._processes
        #: Whether they were killed for the sake of one call.
        self.were_killed = False

    def began(self, place: int) -> float | None:
        """Return when the body of a call began, by the monotonic clock; None if it has not."""
        begun = self.board.begun(place)
        return None if begun is None else begun[1]

    def end(self, place: int) -> None:
        """Have a call end."""
        self.board.ask(place)
        begun = self.board.begun(place)
        process = None if begun is None or self._processes is None else self._processes.get(begun[0])
        if process is not None:
            process.terminate()

    def kill(self) -> None:
        """Kill every one of them."""
        for process in list((self._processes or {}).values()):
            process.kill()

    def close(self) -> None:
        """Let go of what is shared with them."""
        self.board.close()


def workers_of(executor: Executor) -> Workers | None:
    """Return the processes of an executor that was made just now, or None if it runs what it is given elsewhere."""
    if "concurrent.futures.process" not in sys.modules:
        return None  # it is slow to import, and nobody can have a pool of processes without it
    from concurrent.futures import ProcessPoolExecutor

    if not isinstance(executor, ProcessPoolExecutor) or executor._processes:
        return None
    return Workers(executor)
