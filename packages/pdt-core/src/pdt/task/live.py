"""What a controller knows of the attempts of one task that are not over."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from .record import now

if TYPE_CHECKING:
    import asyncio

    from ..attempts.book import Claim, Decision
    from ..proc_manager.runner import Exit
    from .staging import Staging

__all__ = ["LiveAttempts", "Running"]


class Running:
    """An attempt that runs, or whose end is not recorded."""

    def __init__(self, claim: Claim, staging: Staging) -> None:
        self.claim = claim
        self.staging = staging
        self.pid: str | None = None
        self.start = now()
        self.timer: asyncio.TimerHandle | None = None
        self.is_alive = True
        #: Whether it counts in the task's `holding` until the engine is told that it has ended.
        self.holds = False
        self.succeeded = False

    def stop_timer(self) -> None:
        """Do nothing to it when its time is over."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class LiveAttempts:
    """The attempts of one task that run, or whose ends are not recorded, and the claims of those that come next."""

    def __init__(self) -> None:
        #: By job.
        self.running: dict[str, Running] = {}
        self.claims: dict[str, Claim] = {}
        #: Claims of which it is not known whether they were written.
        self.offered: dict[str, Claim] = {}
        #: Ends that are not dealt with yet.
        self.exits: deque[Exit] = deque()
        #: Results that an earlier controller has decided to count, and that are to be published.
        self.decided: list[Decision] = []
        #: How many of those in `running` run.
        self.alive = 0
        self._by_token: dict[str, Running] = {}

    def follow(self, running: Running) -> None:
        """Add an attempt."""
        self.alive += running.is_alive
        self.running[running.claim.job] = self._by_token[running.claim.token] = running

    def of(self, token: str) -> Running | None:
        """Return the attempt that goes by a token."""
        return self._by_token.get(token)

    def ended(self, running: Running) -> None:
        """Note that an attempt does not run any more."""
        self.alive -= running.is_alive
        running.is_alive = False

    def leave(self, job: str) -> Running | None:
        """Forget the attempt of a job, though not its claim, and return it."""
        running = self.running.pop(job, None)
        if running is not None:
            self.ended(running)
            self._by_token.pop(running.claim.token, None)
        return running

    def forget(self, job: str) -> Running | None:
        """Forget the attempt of a job and its claim, and return it."""
        running = self.leave(job)
        if running is not None:
            self.claims.pop(job, None)
        return running

    def clear(self) -> None:
        """Forget everything."""
        for running in self.running.values():
            running.stop_timer()
        self.running.clear()
        self.alive = 0
        self.claims.clear()
        self.offered.clear()
        self.exits.clear()
        self.decided.clear()
        self._by_token.clear()
