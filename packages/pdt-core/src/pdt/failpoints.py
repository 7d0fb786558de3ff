"""Places at which a test can end or disturb a controller; they do nothing unless PDT_FAILPOINTS is set at the start.

PDT_FAILPOINTS holds `NAME=ACTION` or `NAME=ACTION@N`, separated by ";": at the N-th time (by default the first) that
the place NAME is passed, the process is killed (`kill`), a FailpointError is raised (`raise`), or whoever passes it
never goes on (`hang`). NAME may be `*`, for any of them, or `+`, for any that is passed after something has happened at
one. What happens is said on standard error before.
"""

from __future__ import annotations

import os
from collections import Counter

__all__ = ["POINTS", "FailpointError", "hit"]

VARIABLE = "PDT_FAILPOINTS"
#: Every place, in the order in which a job passes them.
POINTS = (
    "control.locked",
    "adopt.begin",
    "adopt.loaded",
    "adopt.recalled",
    "adopt.one",
    "adopt.adopted",
    "adopt.rolling_forward",
    "adopt.end",
    "journal.before_create",
    "journal.before_lock",
    "journal.created",
    "claim.reserved",
    "claim.before",
    "claim.after",
    "claim.checked",
    "launch.begin",
    "launch.rendered",
    "launch.before_start",
    "spawn.before_lock",
    "spawn.locked",
    "spawn.script",
    "spawn.spawned",
    "spawn.noted",
    "spawn.followed",
    "launch.started",
    "launch.end",
    "pids.before_write",
    "pids.written",
    "unclaim.begin",
    "unclaim.released",
    "unclaim.end",
    "kill.before_line",
    "kill.line",
    "kill.signalled",
    "kill.insist",
    "end.seen",
    "end.waited",
    "end.noted",
    "reap.begin",
    "reap.concluding",
    "again.discarded",
    "again.noted",
    "again.end",
    "stream.before_decide",
    "stream.decided",
    "stream.begin",
    "stream.middle",
    "stream.copied",
    "commit.begin",
    "commit.synced",
    "commit.decided",
    "publish.move",
    "publish.moved",
    "commit.published",
    "commit.before_done",
    "commit.done",
    "settle.begin",
    "settle.discarded",
    "settle.pids",
    "settle.forgotten",
    "settle.end",
    "journal.before_settled",
    "journal.settled",
    "journal.before_remove",
    "journal.removed",
    "suspend.begin",
    "suspend.end",
    "control.before_release",
    "control.released",
)


class FailpointError(RuntimeError):
    """What a place raises when it is told to."""


def _inert(name: str) -> None:
    """Do nothing: no test wants anything here."""


class _Armed:
    """Does what a test wants.

    :param wanted: what PDT_FAILPOINTS holds.
    :raises ValueError: if it is not what it should be.
    """

    def __init__(self, wanted: str) -> None:
        self._passed: Counter[str] = Counter()
        self._has_acted = False
        self._actions: dict[tuple[str, int], str] = {}
        for part in filter(None, wanted.split(";")):
            name, _, rest = part.strip().partition("=")
            action, _, count = rest.partition("@")
            if name not in ("*", "+", *POINTS) or action not in ("kill", "raise", "hang"):
                raise ValueError(f"{VARIABLE}: {part!r} is not NAME=ACTION@N with a name and an action of {__name__}")
            self._actions[name, int(count or 1)] = action

    def __call__(self, name: str) -> None:
        for which in (name, "*", "+") if self._has_acted else (name, "*"):
            self._passed[which] += 1
            action = self._actions.get((which, self._passed[which]))
            if action is not None:
                self._has_acted = True
                _act(name, action)


def _act(name: str, action: str) -> None:
    import signal
    import threading

    os.write(2, f"failpoint {name}: {action}\n".encode())
    if action == "raise":
        raise FailpointError(name)
    if action == "hang":
        threading.Event().wait()
    os.kill(os.getpid(), signal.SIGKILL)


hit = _Armed(os.environ[VARIABLE]) if VARIABLE in os.environ else _inert
