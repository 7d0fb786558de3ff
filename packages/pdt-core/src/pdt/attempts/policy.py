"""What becomes of a job whose attempt has ended: a pure function of its outcomes so far."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from ..errors import ConfigurationError

__all__ = ["INFRASTRUCTURE", "REASONS", "Retry", "Verdict", "decide"]

#: Every reason for which an attempt can end, and what it means. Those of pods are given by their own package.
REASONS = {
    "success": "the script or function returned, with code 0",
    "exit": "the script returned another code",
    "exception": "the function raised",
    "signal": "a signal ended the script",
    "oom": "the kernel ended it for want of memory",
    "timeout": "it took longer than its timeout",
    "cancelled": "somebody cancelled it",
    "lost": "its end was not seen: the machine went down, or its worker was killed",
    "unlaunchable": "it can never be started as it is",
    "evicted": "its node needed the room",
    "preempted": "a pod of higher priority took its place",
    "image": "its image cannot be pulled",
    "unschedulable": "no node can take it",
    "deleted": "its pod was deleted",
}
#: Ends for which the job is not to blame: it runs again, and has a budget of its own for that.
INFRASTRUCTURE = frozenset({"lost", "evicted", "preempted", "deleted"})
#: How often a job runs again after such ends.
LOST_ATTEMPTS = 5
LOST_DELAY = 1.0
LONGEST_DELAY = 3600.0
#: An end that a policy names closer than by its reason.
_DETAILED = re.compile(r"(?:exit|signal):(?:0|[1-9][0-9]{0,9})", re.ASCII)


@dataclass(frozen=True)
class Retry:
    """When a failed job is tried again.

    :param attempts: how often it runs at most, the first time included.
    :param delay: seconds before the second time, or a timedelta.
    :param factor: by which the delay grows each time.
    :param max_delay: seconds that no delay exceeds, or a timedelta.
    :param jitter: the share of the delay that chance decides, from 0 to 1.
    :param on: the reasons to try again for, such as "oom", "timeout", "signal", "signal:9", "exit" or "exit:75";
        empty for every failure that another try may mend.
    :raises ConfigurationError: if one of them is out of range or unknown.
    """

    attempts: int = 1
    delay: float | timedelta = 1.0
    factor: float = 2.0
    max_delay: float | timedelta = 300.0
    jitter: float = 0.5
    on: Collection[str] = ()

    def __post_init__(self) -> None:
        for name in ("delay", "max_delay"):
            value = getattr(self, name)
            seconds = value.total_seconds() if isinstance(value, timedelta) else value
            object.__setattr__(self, name, seconds)
        on: object = self.on
        causes = tuple(on) if isinstance(on, Collection) and not isinstance(on, str) else (on,)
        object.__setattr__(self, "on", causes)
        wrong = None
        if type(self.attempts) is not int or not 1 <= self.attempts <= 1000:
            wrong = f"attempts is {self.attempts!r}, not a number from 1 to 1000"
        for name, least, most in (("delay", 0, 86400), ("factor", 1, 100), ("max_delay", 0, 86400), ("jitter", 0, 1)):
            value = getattr(self, name)
            if type(value) not in (int, float) or not least <= value <= most:
                wrong = f"{name} is {value!r}, not a number from {least} to {most}"
        for cause in causes:
            failures = sorted(REASONS.keys() - {"success"})
            if not isinstance(cause, str) or not (cause in failures or _DETAILED.fullmatch(cause)):
                wrong = f"on has {cause!r}; the reasons are: {', '.join(failures)}, exit:CODE and signal:NUMBER"
        if wrong is not None:
            raise ConfigurationError(f"retry: {wrong}", fix="for example Retry(attempts=4, delay=15, on=['exit:75'])")

    def covers(self, reason: str, return_code: int | None, number: int | None) -> bool:
        """Tell whether an end is one to try again for."""
        if not self.on:
            return reason not in ("cancelled", "unlaunchable")
        named = {reason}
        if reason == "exit":
            named.add(f"exit:{return_code}")
        elif reason in ("signal", "oom"):  # what ends a job for another reason does it by signals as well
            named.add(f"signal:{number}")
        return not named.isdisjoint(self.on)

    def seconds(self, failures: int) -> float:
        """Return the seconds to wait after so many failures."""
        assert not isinstance(self.delay, timedelta)  # noqa: S101  made a number above
        assert not isinstance(self.max_delay, timedelta)  # noqa: S101
        delay = min(self.max_delay, self.delay * self.factor ** min(failures - 1, 64))
        return delay * (1 - self.jitter * _chance())


class Verdict(Enum):
    """What becomes of a job."""

    DONE = "done"
    AGAIN = "again"
    FAILED = "failed"


def decide(retry: Retry, reasons: Sequence[str], return_code: int | None, number: int | None) -> tuple[Verdict, float]:
    """Say what becomes of a job, and after how many seconds it is to be tried again.

    :param reasons: why each of its attempts ended; the last is the one to decide about.
    :param return_code: of the last attempt, if it had one.
    :param number: the signal that ended it, if one did.
    """
    last = reasons[-1]
    if last == "success":
        return Verdict.DONE, 0.0
    if last in INFRASTRUCTURE:
        lost = _count(reasons, INFRASTRUCTURE)
        if lost <= LOST_ATTEMPTS:
            return Verdict.AGAIN, min(LONGEST_DELAY, LOST_DELAY * 2.0 ** (lost - 1) * (1 - 0.5 * _chance()))
        return Verdict.FAILED, 0.0
    failures = len(reasons) - _count(reasons, INFRASTRUCTURE)
    if failures < retry.attempts and retry.covers(last, return_code, number):
        return Verdict.AGAIN, retry.seconds(failures)
    return Verdict.FAILED, 0.0


def _chance() -> float:
    from random import random  # late: it costs the start of every command

    return random()  # noqa: S311  it only spreads load


def _count(reasons: Iterable[str], kinds: Collection[str]) -> int:
    return sum(reason in kinds for reason in reasons)
