"""The logs of failed attempts, kept on this machine until their jobs have succeeded."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from .. import localfs

__all__ = ["KeptLogs"]

#: How many of a job's logs are kept: the last ones.
MOST_LOGS = 10


class KeptLogs:
    """The directory of a task's logs.

    :param place: returns it.
    """

    def __init__(self, place: Callable[[], str]) -> None:
        self._place = place
        #: By job, the number of its newest log, as far as it is known.
        self.newest: dict[str, int] = {}

    def load(self) -> None:
        """Find out which logs there are."""
        from urllib.parse import unquote

        self.newest.clear()
        with suppress(FileNotFoundError, NotADirectoryError):
            for name in os.listdir(self._place()):
                job, _, number = name.removesuffix(".log").rpartition(".")
                if job and number.isdecimal():
                    self.newest[unquote(job)] = max(self.newest.get(unquote(job), 0), int(number))

    def path(self, job: str, number: int) -> str:
        """Return where the log of an attempt is kept."""
        from urllib.parse import quote

        return os.path.join(self._place(), f"{quote(job, safe=' ')}.{number}.log")

    def keep(self, log: str, job: str, number: int) -> None:
        """Keep a log if it is there, and no more than MOST_LOGS of its job."""
        kept = self.path(job, number)
        os.makedirs(os.path.dirname(kept), mode=0o700, exist_ok=True)
        try:
            os.replace(log, kept)
        except FileNotFoundError:
            return
        self.newest[job] = max(number, self.newest.get(job, 0))
        self._remove(job, number - MOST_LOGS)

    def forget(self, job: str, number: int) -> None:
        """Remove the logs of a job that has succeeded.

        :param number: of the attempt that has.
        """
        newest = max(number - 1, self.newest.pop(job, 0))
        if newest:
            self._remove(job, newest)

    def _remove(self, job: str, last: int) -> None:
        """Remove the logs up to a number; earlier ones are gone, but for attempts between that had none."""
        for number in range(max(1, last - 2 * MOST_LOGS), last + 1):
            localfs.remove(self.path(job, number))
