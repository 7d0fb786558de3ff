"""Quotas: what jobs hold together, and whether one more fits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from .resources import Resources, ResourceType

__all__ = ["ResourceManager"]


class ResourceManager:
    """Tracks how much of a quota is in use, and refuses what would exceed it.

    :param quota: the limit on the sum of what is held at once.
    """

    def __init__(self, quota: Resources) -> None:
        self.quota = quota
        self._sources: list[Callable[[], Awaitable[Resources]]] = []
        self._held = Resources.zero()
        self._reported: Resources | None = None

    def register(self, func: Callable[[], Awaitable[Resources]]) -> None:
        """Add a callback that reports what is in use; the sum of all of them is the usage at the start."""
        self._sources.append(func)

    async def flush(self) -> None:
        """Forget what was reserved; the next call asks the registered callbacks anew."""
        self._reported = None
        self._held = Resources.zero()

    async def _load(self) -> Resources:
        """Return what the registered callbacks report, asking them if nobody has since the last flush."""
        if self._reported is None:
            reported = Resources.zero()
            for source in self._sources:
                load = await source()
                reported += replace(load, launches=load.launches or 0)
            self._reported = reported
        return self._reported

    async def usage(self) -> Resources:
        """Return what is in use now."""
        return await self._load() + self._held

    def can_ever_fit(self, request: Resources) -> ResourceType | None:
        """Return the resource of which `request` alone exceeds the quota, or None if it would fit when nothing runs."""
        return _demand(request).excess(self.quota)

    async def reserve(self, request: Resources) -> ResourceType | None:
        """Reserve `request` and return None; or do nothing and return the resource that would be over the quota."""
        request = _demand(request)
        reported = await self._load()
        # Nothing is awaited between this comparison and the reservation: it is one critical section.
        limiting = (reported + self._held + request).excess(self.quota)
        if limiting is None:
            self._held += request
        return limiting

    async def relinquish(self, request: Resources) -> None:
        """Give `request` back; giving back more than is reserved leaves nothing reserved."""
        await self._load()
        held = self._held - _demand(request)
        nothing = Resources.zero()
        self._held = Resources(max(held.cpu, nothing.cpu), max(held.mem, nothing.mem), max(held.launches or 0, 0))


def _demand(request: Resources) -> Resources:
    """Return a request that names no launches as one that counts one."""
    return replace(request, launches=1) if request.launches is None else request
