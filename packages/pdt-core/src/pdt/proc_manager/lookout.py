"""Seeing when attempts end: by the end of a child, by a change of a journal, and by looking where neither tells."""

from __future__ import annotations

import asyncio
import logging
import os
import select
from collections.abc import Callable, Collection
from typing import Any

from ..failpoints import hit
from .attempt import LocalAttempt
from .inotify import FileWatch
from .processes import carriers

__all__ = ["Lookout"]

#: Seconds between looks at attempts of which nothing else tells when they end.
POLL_SECONDS = 1.0
#: Seconds for which looks at locks are put together: each is at all of them.
LOOK_SECONDS = 0.02
#: Ends of children that are dealt with before anything else gets its turn.
MOST_EVENTS = 64

logger = logging.getLogger("pdt.processes")


class Lookout:
    """Looks out for the ends of attempts, on the event loop that runs.

    :param on_end: called with each attempt that has ended, once.
    :param on_failure: called when something could not be seen, and will be looked at again.
    """

    def __init__(self, on_end: Callable[[LocalAttempt], None], on_failure: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_end = on_end
        self._on_failure = on_failure
        #: By token, the attempts that run.
        self.attempts: dict[str, LocalAttempt] = {}
        # The loop watches this one for all children: to add and remove each there would take several times as long.
        self._children = select.epoll()
        self._by_descriptor: dict[int, LocalAttempt] = {}
        self._loop.add_reader(self._children.fileno(), self.guarded, self._children_ended)
        self._watch: FileWatch | None = None
        self._next_look: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Look no more."""
        for attempt in self.attempts.values():
            self._let_go(attempt)
        self.attempts.clear()
        self._loop.remove_reader(self._children.fileno())
        self._children.close()
        if self._next_look is not None:
            self._next_look.cancel()
        if self._watch is not None:
            self._loop.remove_reader(self._watch.fileno())
            self._watch.close()

    def guarded(self, step: Callable[..., None], *arguments: Any) -> None:
        """Call a function; what it fails to see is looked for again."""
        try:
            step(*arguments)
        except Exception as error:
            logger.warning("cannot tell which processes have ended, and look again in %g s: %s", POLL_SECONDS, error)
            self._look_often()
            self.look_within(POLL_SECONDS)
            self._on_failure()

    # Children.

    def follow(self, attempt: LocalAttempt) -> None:
        """Look out for the end of a child; whatever becomes of it, the attempt is one of those that run."""
        self.attempts[attempt.token] = attempt
        self.guarded(self._follow, attempt)

    def _follow(self, attempt: LocalAttempt) -> None:
        hit("spawn.spawned")
        assert attempt.child is not None  # noqa: S101  it was just started
        hit("spawn.noted")
        attempt.descriptor = os.pidfd_open(attempt.child)
        self._by_descriptor[attempt.descriptor] = attempt
        self._children.register(attempt.descriptor, select.EPOLLIN)
        hit("spawn.followed")

    def _children_ended(self) -> None:
        for descriptor, _ in self._children.poll(0, MOST_EVENTS):
            self.guarded(self._child_ended, self._by_descriptor[descriptor])

    def _child_ended(self, attempt: LocalAttempt) -> None:
        """Note the end of a wrapper; what the script started may run still if it was killed."""
        hit("end.seen")
        self._stop_following(attempt)
        attempt.wait(block=True)
        hit("end.waited")
        attempt.journal.read()
        if attempt.code is not None:
            self._end(attempt)
            return
        self.look([attempt])
        if attempt.token in self.attempts:
            self.watch()

    # Others.

    def watch(self) -> None:
        """Look out for the ends of attempts that have no child of this process to tell it."""
        journals = {attempt.journal.path for attempt in self._unfollowed()}
        if not journals:
            return
        try:
            if self._watch is None:
                self._watch = FileWatch()
                self._loop.add_reader(self._watch.fileno(), self.guarded, self._journal_changed)
            for path in journals:
                self._watch.add(path)
        except OSError as error:
            logger.warning("cannot be told when processes end, and look every %g s: %s", POLL_SECONDS, error)
            self._look_often()
        # What happened before they were watched.
        self.look_within(LOOK_SECONDS)

    def _unfollowed(self) -> list[LocalAttempt]:
        return [attempt for attempt in self.attempts.values() if attempt.descriptor < 0]

    def _journal_changed(self) -> None:
        """See who has left a line, and a little later who has let go of a lock: that takes a look at each."""
        assert self._watch is not None  # noqa: S101  it is being read
        if self._watch.drain():
            self.look_within(LOOK_SECONDS)
        for journal in {attempt.journal for attempt in self._unfollowed()}:
            for token in journal.read():
                attempt = self.attempts.get(token)
                if attempt is not None and attempt.child is None and attempt.code is not None:
                    self._end(attempt)

    def _look_often(self) -> None:
        for attempt in self._unfollowed():
            attempt.is_elusive = True

    # Looking.

    def look_within(self, seconds: float) -> None:
        """Look at those that nothing else tells of, at the latest in so many seconds."""
        when = self._loop.time() + seconds
        if self._next_look is not None:
            if self._next_look.when() <= when:
                return
            self._next_look.cancel()
        self._next_look = self._loop.call_at(when, self._look_again)

    def _look_again(self) -> None:
        self._next_look = None
        self.guarded(self.look, self._unfollowed())

    def look(self, attempts: Collection[LocalAttempt]) -> None:
        """Find out which of these attempts have ended; a result wins, then the lock, then the token."""
        for journal in {attempt.journal for attempt in attempts}:
            journal.read()
        free = []
        for attempt in attempts:
            attempt.wait(block=False)
            if attempt.child is not None:
                continue
            if attempt.code is not None:
                self._end(attempt)
            elif not attempt.is_locked:
                free.append(attempt)
        self._look_for_processes(free)
        if any(attempt.is_elusive and attempt.token in self.attempts for attempt in attempts):
            self.look_within(POLL_SECONDS)

    def _look_for_processes(self, attempts: Collection[LocalAttempt]) -> None:
        """Find out which of these attempts, whose lock is free, have ended."""
        for journal in {attempt.journal for attempt in attempts}:
            journal.read()  # what ended between reading and looking at the lock has left its line
        silent = [attempt.token for attempt in attempts if attempt.code is None]
        for _ in range(2):  # a listing is none of one moment: a second one makes sure
            silent = [token for token, pids in carriers(silent).items() if not pids]
        for attempt in attempts:
            if attempt.code is not None or attempt.token in silent:
                self._end(attempt)
            else:
                attempt.is_elusive = True  # it has closed what it inherited

    # Ends.

    def _end(self, attempt: LocalAttempt) -> None:
        self._let_go(attempt)
        del self.attempts[attempt.token]
        self._on_end(attempt)

    def _let_go(self, attempt: LocalAttempt) -> None:
        self._stop_following(attempt)
        if attempt.insisting is not None:
            attempt.insisting.cancel()
            attempt.insisting = None

    def _stop_following(self, attempt: LocalAttempt) -> None:
        if attempt.descriptor >= 0:
            del self._by_descriptor[attempt.descriptor]
            self._children.unregister(attempt.descriptor)
            os.close(attempt.descriptor)
            attempt.descriptor = -1
