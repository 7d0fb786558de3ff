"""What other processes ask of the controller of a pipeline, by its ledger."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..job import quoted, unquoted
from ..ledger.base import Ledger

__all__ = ["CancelRequests"]

PREFIX = "cancel/"
#: Seconds after which a request that no controller has taken is for nobody.
KEPT_SECONDS = 60.0


class CancelRequests:
    """Jobs that are to be cancelled.

    :param ledger: the pipeline's.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def ask(self, task: str, job: str) -> None:
        """Ask for a job to be cancelled; asking twice is asking once."""
        await self._ledger.insert(f"{PREFIX}{task}/{quoted(job)}", {"at": _clock()})

    async def is_waiting(self, task: str, job: str) -> bool:
        """Tell whether no controller has taken the request yet."""
        return await self._ledger.get(f"{PREFIX}{task}/{quoted(job)}") is not None

    async def withdraw(self, task: str, job: str) -> None:
        """Take a request back."""
        await self._ledger.delete(f"{PREFIX}{task}/{quoted(job)}")

    async def take(self, is_asked: Callable[[str, str], bool]) -> list[tuple[str, str]]:
        """Return the tasks and jobs that are to be cancelled, each once.

        :param is_asked: whether a task and a job are this controller's to cancel; the others are left to others.
        """
        taken, over = [], []
        for key, request in (await self._ledger.items(PREFIX)).items():
            _, task, quoted_job = key.split("/", 2)
            if is_asked(task, unquoted(quoted_job)):
                taken.append((task, unquoted(quoted_job)))
                over.append(key)
            elif not 0 <= _clock() - request.get("at", 0.0) < KEPT_SECONDS:
                over.append(key)  # whoever asked has gone
        if over:
            await self._ledger.delete_all(over)
        return taken


def _clock() -> float:
    """Return the seconds since the machine's boot."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
