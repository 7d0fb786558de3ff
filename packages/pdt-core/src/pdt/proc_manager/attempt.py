"""An attempt on this machine: whether it runs, and what it returned."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from .journal import Journal
from .processes import kill_carriers, signal_group
from .runner import SIGNALLED, Exit
from .spawn import UNNOTED

if TYPE_CHECKING:
    import asyncio

__all__ = ["LocalAttempt"]

#: Seconds within which processes that are killed together are gone.
TOGETHER_SECONDS = 0.25


class LocalAttempt:
    """An attempt that runs, or whose end nobody has been told of.

    :param token: of the attempt.
    :param journal: where it is noted.
    :param number: under which it holds its lock there.
    :param child: the process number of its wrapper, if that is a child of this process.
    """

    def __init__(self, token: str, journal: Journal, number: int, child: int | None = None) -> None:
        self.token = token
        self.journal = journal
        self.number = number
        self.trace = journal.trace(token)
        #: The wrapper, while it is a child of this process that has not been waited for.
        self.child = child
        #: Becomes readable when the child ends; -1 where there is none.
        self.descriptor = -1
        #: Whether nothing but looking tells when it has ended.
        self.is_elusive = False
        #: Kills what is left once the time to end is over.
        self.insisting: asyncio.TimerHandle | None = None
        #: Since when it has been killed, by the monotonic clock.
        self.killed_since: float | None = None
        #: What keeps it from ending although it was killed, if that was noticed.
        self.hindrance: str | None = None
        self._status: int | None = None
        self._waited = 0.0

    @property
    def pid(self) -> int | None:
        """The wrapper's process number, as far as it is known."""
        return self.trace.pid if self.child is None else self.child

    @property
    def is_locked(self) -> bool:
        """Whether something that it started holds its lock."""
        return self.journal.is_locked(self.number)

    @property
    def code(self) -> int | None:
        """What the script returned, if the wrapper has said so."""
        if self.trace.code is not None:
            return self.trace.code
        if self._status is not None and os.WIFEXITED(self._status):
            return os.WEXITSTATUS(self._status)  # the journal's disk may have been full
        return None

    def wait(self, *, block: bool) -> None:
        """Take note of the child's end.

        :param block: whether it is known to have ended.
        """
        if self.child is None:
            return
        try:
            pid, status = os.waitpid(self.child, 0 if block else os.WNOHANG)
        except ChildProcessError:
            pid, status = self.child, None  # somebody else waited for it
        if pid:
            self.child, self._status, self._waited = None, status, time.monotonic()

    def signal(self, number: int) -> None:
        """Send a signal to everything in its process group, or else to whatever has its token."""
        if self.child is not None:  # the number is its own until it is waited for
            try:
                os.killpg(self.child, number)
            except (ProcessLookupError, PermissionError):
                pass  # nothing is left that is ours
        elif self.trace.pid is None or not signal_group(self.trace.pid, self.token, number):
            kill_carriers([self.token], number)

    def exit(self) -> Exit:
        """Return how it ended."""
        trace, code, detail = self.trace, self.code, None
        started = trace.pid is not None or code is not None or trace.killed is not None
        if trace.pid is None and code == UNNOTED:
            detail = f"it could not begin: nothing can be written to {self.journal.path}; is the disk full?"
            return Exit(self.token, None, killed=trace.killed, detail=detail)
        if code is None and self._status is not None:
            number, started = os.WTERMSIG(self._status), True
            if time.monotonic() - self._waited < TOGETHER_SECONDS:
                code = SIGNALLED + number  # as the wrapper would have said of the script
            else:
                detail = f"signal {number} ended its wrapper, and the script ran on; what it returned is not known"
        if detail is None and self.hindrance is not None:
            detail = f"it went on after SIGKILL: {self.hindrance}"
        return Exit(self.token, code, started=started, killed=trace.killed, detail=detail)
