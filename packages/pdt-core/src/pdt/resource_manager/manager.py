"""Quotas: what jobs hold together, and whether one more fits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from .resources import Resource, Resources

__all__ = ["ResourceManager", "demand"]


class ResourceManager:
    """Tracks how much of a quota is in use, and refuses what would exceed it.

    :param quota: the limit on the sum of what is held at once.
    """

    def __init__(self, quota: Resources) -> None:
        self.quota = quota
        self._sources: list[Callable[[], Awaitable[Resources]]] = []
        #: What is in use, or None where the registered callbacks have to be asked.
        self._used: Resources | None = None
        #: Grows whenever what the callbacks are reporting just now may be out of date.
        self._age = 0

    def register(self, func: Callable[[], Awaitable[Resources]]) -> None:
        """Add a callback that reports what is in use; the sum of all of them is the usage at the start."""
        self._sources.append(func)

    async def flush(self) -> None:
        """Forget what is in use; the next call asks the registered callbacks anew."""
        self._used = None
        self._age += 1

    async def usage(self) -> Resources:
        """Return what is in use now."""
        while self._used is None:
            age, used = self._age, Resources.zero()
            for source in self._sources:
                load = await source()
                used += load.with_launches(load.launches or 0)
            if age == self._age:
                self._used = used
                # Whoever is asking at the same time must not undo what is reserved from now on.
                self._age += 1
        return self._used

    def can_ever_fit(self, request: Resources) -> Resource | None:
        """Return the resource of which `request` alone exceeds the quota, or None if it would fit when nothing runs."""
        return demand(request).excess(self.quota)

    async def reserve(self, request: Resources) -> Resource | None:
        """Reserve `request` and return None; or do nothing and return the resource that would be over the quota.

        :raises ValueError: if `request` is negative in anything.
        """
        request = demand(request)
        # Nothing is awaited between the comparison and the reservation: it is one critical section.
        used = await self.usage() + request
        limiting = used.excess(self.quota)
        if limiting is None:
            self._used = used
        return limiting

    async def relinquish(self, request: Resources) -> None:
        """Give `request` back; giving back more than is in use leaves nothing in use.

        :raises ValueError: if `request` is negative in anything.
        """
        request = demand(request)
        if self._used is None:
            # The callbacks will not report it any more; those that are just being asked may have, so they are again.
            self._age += 1
            return
        self._used = (self._used - request).at_least_zero()


def demand(request: Resources) -> Resources:
    """Return a request; one that names no launches counts as one.

    :raises ValueError: if it is negative in anything.
    """
    if request.launches is None:
        request = request.with_launches(1)
    if request.is_negative:
        raise ValueError(f"{request} cannot be reserved: it is negative")
    return request
