"""What other processes ask of the controller of a pipeline, by its ledger."""

from __future__ import annotations

from ..job import quoted, unquoted
from ..ledger.base import Ledger

__all__ = ["CancelRequests"]

PREFIX = "cancel/"


class CancelRequests:
    """Jobs that are to be cancelled.

    :param ledger: the pipeline's.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def ask(self, task: str, job: str) -> None:
        """Ask for a job to be cancelled; asking twice is asking once."""
        await self._ledger.insert(f"{PREFIX}{task}/{quoted(job)}", {})

    async def is_waiting(self, task: str, job: str) -> bool:
        """Tell whether no controller has taken the request yet."""
        return await self._ledger.get(f"{PREFIX}{task}/{quoted(job)}") is not None

    async def withdraw(self, task: str, job: str) -> None:
        """Take a request back."""
        await self._ledger.delete(f"{PREFIX}{task}/{quoted(job)}")

    async def take(self) -> list[tuple[str, str]]:
        """Return the tasks and jobs that are to be cancelled, each once."""
        keys = await self._ledger.list(PREFIX)
        if keys:
            await self._ledger.delete_all(keys)
        parts = (key.split("/", 2) for key in keys)
        return [(task, unquoted(job)) for _, task, job in parts]
