"""What went wrong in plugins while a pipeline ran: logged without flooding, and counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Problem", "Problems"]


class Problem(NamedTuple):
    """One way in which one implementation of a hook keeps failing.

    :param dist: the distribution that it is in.
    :param hook: the hook.
    :param text: what it did, the first time.
    :param times: how often.
    """

    dist: str
    hook: str
    text: str
    times: int


class Problems:
    """The problems of one process; the first of a sort, and every time it grows tenfold, is logged."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], Problem] = {}

    def add(self, dist: str, hook: str, sort: str, text: str, error: BaseException | None = None) -> int:
        """Record one, and return how many of its sort there are now.

        :param dist: the distribution of the plugin.
        :param hook: the hook.
        :param sort: which problems are counted together.
        :param text: what happened.
        :param error: what was raised, if anything was.
        """
        first = self._found.get((dist, hook, sort))
        problem = Problem(dist, hook, text, 1) if first is None else first._replace(times=first.times + 1)
        self._found[dist, hook, sort] = problem
        if str(problem.times).strip("0") == "1":
            import logging

            times = "" if first is None else f" ({problem.times} times)"
            logging.getLogger("pdt.plugins").warning(
                "plugin %s, %s: %s%s", dist, hook, text, times, exc_info=error if first is None else None
            )
        return problem.times

    def __iter__(self) -> Iterator[Problem]:
        return iter(list(self._found.values()))
