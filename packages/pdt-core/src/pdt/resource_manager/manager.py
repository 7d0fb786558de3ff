"""Quotas: what jobs hold together, and whether one more fits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from .resources import Resource, Resources

if TYPE_CHECKING:
    from .allocation import Allocation, Shortfall
    from .scopes import Cap, Constraints
    from .tokens import Tokens

__all__ = ["ResourceManager", "demand"]


class ResourceManager:
    """Tracks how much of a quota is in use, and refuses what would exceed it.

    What has a token is held until that is released. What has none is held until it is given back or the next `flush`,
    after which the registered callbacks say what is in use.

    :param quota: the limit on the sum of what is held at once.
    :param maximum: Optional: what no quota of a resource namespace exceeds.
    """

    #: What sort of manager it is, for messages and metrics.
    id = "memory"

    def __init__(self, quota: Resources, *, maximum: Resources | None = None) -> None:
        self._quota = quota
        self._maximum = maximum
        self._sources: list[Callable[[], Awaitable[Resources]]] = []
        #: What is in use, or None where the registered callbacks have to be asked.
        self._used: Resources | None = None
        #: Grows whenever what the callbacks are reporting just now may be out of date.
        self._age = 0

    @property
    def quota(self) -> Resources:
        """The limit on the sum of what is held at once; what is held stays so if it becomes less."""
        return self._quota

    @quota.setter
    def quota(self, quota: Resources) -> None:
        self._quota = quota
        if self._has_tokens:
            self._tokens.resize(quota)

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
        limiting = (used + self._tokens.used() if self._has_tokens else used).excess(self.quota)
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

    # Tokens.

    @cached_property
    def _tokens(self) -> Tokens:
        from .tokens import Tokens  # late: most quotas have none

        return Tokens(self._quota, maximum=self._maximum)

    @property
    def _has_tokens(self) -> bool:
        return "_tokens" in vars(self)

    def register_namespace(self, namespace: str, quota: Resources) -> None:
        """Give a resource namespace a quota of its own, which everybody has to ask for by its name.

        :raises DuplicateNamespaceError: if it has one.
        :raises QuotaRangeError: if the quota is nothing, negative or more than the maximum.
        """
        self._tokens.register(namespace, quota)

    def cap(self, scope: Sequence[str], cap: Cap) -> None:
        """Limit what a scope may hold of each quota.

        :param scope: pipeline, project, namespace, executor and task; an empty text, or a missing one, is any.
        :param cap: an amount, or a share of the quota from 0 to 1, rounded up; None for no cap.
        :raises ValueError: if one of them is none.
        """
        self._tokens.cap(scope, cap)

    async def allocate(
        self,
        token: str,
        request: Resources,
        *,
        namespace: str | None = None,
        scope: Sequence[str] = (),
        constraints: Constraints | None = None,
    ) -> Allocation:
        """Let a token hold everything that it asks for, or nothing; one that holds it already is granted it again.

        :param token: tells the holder from every other, also after a crash.
        :param namespace: Optional: the resource namespace that it asks of; by default it is the manager's own quota.
        :param scope: for what it is held: pipeline, project, namespace, executor and task.
        :param constraints: Optional: caps of this call.
        :raises UnknownNamespaceError: if the resource namespace has no quota.
        :raises TokenConflictError: if the token holds something else.
        :raises ValueError: if something is not what it should be.
        """
        used = await self.usage()
        return self._tokens.allocate(
            token, request, namespace=namespace, scope=scope, constraints=constraints, besides=used
        )

    async def release(self, token: str) -> bool:
        """Free what a token holds, and tell whether it held anything."""
        return self._tokens.release(token)

    async def check(
        self,
        request: Resources,
        *,
        namespace: str | None = None,
        scope: Sequence[str] = (),
        constraints: Constraints | None = None,
    ) -> list[Shortfall]:
        """Return every limit that a new token with this request would exceed; nothing is changed.

        :raises UnknownNamespaceError: if the resource namespace has no quota.
        :raises ValueError: if something is not what it should be.
        """
        used = await self.usage()
        return self._tokens.check(request, namespace=namespace, scope=scope, constraints=constraints, besides=used)


def demand(request: Resources) -> Resources:
    """Return a request; one that names no launches counts as one.

    :raises ValueError: if it is negative in anything.
    """
    if request.launches is None:
        request = request.with_launches(1)
    if request.is_negative:
        raise ValueError(f"{request} cannot be reserved: it is negative")
    return request
