"""When to try again what failed."""

from __future__ import annotations

import random
import time
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Backoff"]

Thing = TypeVar("Thing", bound=Hashable)


class Backoff(Generic[Thing]):
    """Doubles the delay after each failure of a thing, with jitter, and gives up after some.

    :param delay: seconds after the first failure.
    :param longest: seconds that no delay exceeds.
    :param attempts: failures after which it is given up; None: never.
    """

    def __init__(self, delay: float, longest: float, attempts: int | None) -> None:
        self._delay = delay
        self._longest = longest
        self._attempts = attempts
        self._failures: dict[Thing, tuple[int, float, str]] = {}

    def failed(self, thing: Thing, reason: str, delay: float | None = None) -> float:
        """Note a failure and return the seconds until the next try.

        :param delay: those seconds, where somebody else decides about them.
        """
        count = self._failures.get(thing, (0, 0.0, ""))[0] + 1
        if delay is None:
            delay = min(self._longest, self._delay * 2.0 ** min(count - 1, 30)) * random.uniform(0.5, 1.0)  # noqa: S311
        self._failures[thing] = (count, time.monotonic() + delay, reason)
        return delay

    def succeeded(self, thing: Thing) -> None:
        """Forget the failures of a thing."""
        self._failures.pop(thing, None)

    def clear(self) -> None:
        """Forget the failures of everything."""
        self._failures.clear()

    def given_up(self, thing: Thing) -> bool:
        """Tell whether the thing has failed too often."""
        return self._attempts is not None and self._failures.get(thing, (0, 0.0, ""))[0] >= self._attempts

    def wait(self, thing: Thing) -> float:
        """Return the seconds until the thing may be tried again; 0 if now."""
        failure = self._failures.get(thing)
        return 0.0 if failure is None else max(0.0, failure[1] - time.monotonic())

    def reason(self, thing: Thing) -> str | None:
        """Return why the thing failed last, or None if it has not."""
        failure = self._failures.get(thing)
        return None if failure is None else failure[2]

    def things(self) -> list[Thing]:
        """Return everything that has failed and not succeeded since."""
        return list(self._failures)

    def soonest(self) -> float | None:
        """Return the seconds until the next thing may be tried again, or None if nothing waits for that."""
        if not self._failures:
            return None
        waits = [self.wait(thing) for thing in self._failures if not self.given_up(thing)]
        return min(waits, default=None)

    def abandoned(self) -> dict[Thing, str]:
        """Return the things that were given up, and why."""
        return {thing: failure[2] for thing, failure in self._failures.items() if self.given_up(thing)}

    def __contains__(self, thing: object) -> bool:
        return thing in self._failures

    def __bool__(self) -> bool:
        return bool(self._failures)
