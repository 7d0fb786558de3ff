"""Who holds how much of which quota: tokens, each granted all that it asks for in one step, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from .allocation import (
    Allocation,
    AllocationStatus,
    DuplicateNamespaceError,
    QuotaRangeError,
    Shortfall,
    TokenConflictError,
    UnknownNamespaceError,
)
from .resources import KINDS, Resources
from .scopes import Cap, Constraints, Scope, checked_cap, most_of, scope_of

__all__ = ["Tokens"]

_NONE = Resources.zero()
_NOTHING: Mapping[str, int] = {}
MILLIS = 1000
_NO_CONSTRAINTS = Constraints()
_GRANTED = Allocation(AllocationStatus.GRANTED)


#: What there is of each resource, by name, in whole units: of cores, thousandths.
Units = tuple[tuple[str, int], ...]


class _Held(NamedTuple):
    namespace: str
    scope: Scope
    request: Resources
    units: Units
    keys: Sequence[tuple[str, ...]]


class Tokens:
    """What tokens hold of quotas.

    It decides without waiting for anything, so that a decision is one step for all that an event loop runs. Starts of
    jobs are no part of it: they are not given back.

    :param quota: of what is in no resource namespace.
    :param maximum: Optional: what no quota of a resource namespace exceeds.
    """

    def __init__(self, quota: Resources, *, maximum: Resources | None = None) -> None:
        self._maximum = maximum
        self._quotas: dict[str, Resources] = {"": _lasting(quota)}
        self._caps: dict[Scope, Cap] = {}
        self._held: dict[str, _Held] = {}
        #: What is held of a namespace by all, by a project, and so on, in whole units.
        self._used: dict[tuple[str, ...], dict[str, int]] = {}

    def resize(self, quota: Resources) -> None:
        """Change the quota of what is in no resource namespace; what is held of it stays so, if it is more."""
        self._quotas[""] = _lasting(quota)

    # Setting up.

    def register(self, namespace: str, quota: Resources) -> None:
        """Give a resource namespace a quota of its own.

        :raises DuplicateNamespaceError: if it has one.
        :raises QuotaRangeError: if the quota is nothing, negative or more than the maximum.
        """
        if namespace in self._quotas or not namespace:
            raise DuplicateNamespaceError(
                f"resource namespace {namespace!r} has a quota already", fix="register each once, under its own name"
            )
        quota = _lasting(quota)
        if quota.is_negative or quota == _NONE:
            raise QuotaRangeError(f"the quota of {namespace!r} is {quota}", fix="give an amount of more than nothing")
        if self._maximum is not None and _lasting(quota).excess(_lasting(self._maximum)) is not None:
            raise QuotaRangeError(
                f"the quota of {namespace!r} is {quota}, more than the maximum {self._maximum}",
                fix="give a smaller one, or raise the maximum",
            )
        self._quotas[namespace] = quota

    def cap(self, scope: Sequence[str], cap: Cap) -> None:
        """Limit what a scope may hold of each resource namespace; an empty part of it stands for any.

        :raises ValueError: if it is none, or the cap is negative.
        """
        self._caps[scope_of(scope)] = checked_cap(cap)
        self._recount()

    def _recount(self) -> None:
        held = list(self._held.items())
        self._held.clear()
        self._used.clear()
        for token, known in held:
            self._add(token, known.namespace, known.scope, known.request)

    # Deciding.

    def allocate(
        self,
        token: str,
        request: Resources,
        *,
        namespace: str | None = None,
        scope: Sequence[str] = (),
        constraints: Constraints | None = None,
        besides: Resources = _NONE,
    ) -> Allocation:
        """Let a token hold everything that it asks for, or nothing; one that holds it already is granted it again.

        :param token: tells the holder from every other, also after a crash.
        :param namespace: the resource namespace, by default the one of all that is in none.
        :param scope: for what it is held: pipeline, project, namespace, executor and task.
        :param constraints: caps of this call.
        :param besides: what is used of the quota without a token.
        :raises UnknownNamespaceError: if the resource namespace has no quota.
        :raises TokenConflictError: if the token holds something else.
        :raises ValueError: if something is not what it should be.
        """
        if type(token) is not str or not token:
            raise ValueError(f"{token!r} is no token: give a text that names the attempt")
        asked, where, of = _asked(request), scope_of(scope), namespace or ""
        known = self._held.get(token)
        if known is not None:
            if (known.namespace, known.scope, known.request) != (of, where, asked):
                raise TokenConflictError(
                    f"token {token!r} holds {known.request} of {known.namespace or 'the quota'} for {known.scope}",
                    fix="release it before it asks for something else, or use another token",
                )
            return _GRANTED
        shortfall = next(self._shortfalls(asked, of, where, constraints, besides), None)
        if shortfall is not None:
            return Allocation(shortfall.status, shortfall)
        self._add(token, of, where, asked)
        return _GRANTED

    def check(
        self,
        request: Resources,
        *,
        namespace: str | None = None,
        scope: Sequence[str] = (),
        constraints: Constraints | None = None,
        besides: Resources = _NONE,
    ) -> list[Shortfall]:
        """Return every limit that a new token with this request would exceed, in everything; nothing is changed."""
        return list(self._shortfalls(_asked(request), namespace or "", scope_of(scope), constraints, besides))

    def release(self, token: str) -> bool:
        """Free what a token holds, and tell whether it held anything."""
        known = self._held.pop(token, None)
        if known is None:
            return False
        for key in known.keys if known.units else ():
            used = self._used[key]
            for resource, amount in known.units:
                used[resource] -= amount
                if not used[resource]:
                    del used[resource]
            if not used:
                del self._used[key]
        return True

    @property
    def held(self) -> Mapping[str, Resources]:
        """What each token holds."""
        return {token: known.request for token, known in self._held.items()}

    def used(self, namespace: str | None = None) -> Resources:
        """Return what is held of a resource namespace."""
        used = self._used.get((namespace or "",))
        if not used:
            return _NONE
        named = dict(used)
        cpu, mem = Decimal(named.pop("cpu", 0)) / MILLIS, Decimal(named.pop("mem", 0))
        return Resources(cpu, mem, 0, named=named)

    def _shortfalls(
        self, request: Resources, namespace: str, scope: Scope, constraints: Constraints | None, besides: Resources
    ) -> Iterator[Shortfall]:
        quota = self._quotas.get(namespace)
        if quota is None:
            raise UnknownNamespaceError(
                f"resource namespace {namespace!r} has no quota; those that have one: "
                f"{', '.join(sorted(filter(None, self._quotas))) or 'none'}",
                fix="register it while the pipeline is set up",
            )
        rest = _NONE if namespace else _lasting(besides)
        yield from self._over((namespace,), request, quota, AllocationStatus.EXHAUSTED, namespace or "the quota", rest)
        constraints = constraints or _NO_CONSTRAINTS
        own = ((_project(namespace, scope), constraints.project), (_domain(namespace, scope), constraints.namespace))
        shown = (f"project {scope.project}", f"namespace {scope.namespace} of project {scope.project}")
        limits = [*zip(own, shown, strict=True)]
        limits += [((_capped(namespace, of), cap), str(of)) for of, cap in self._caps.items() if of.holds(scope)]
        for (key, cap), what in limits:
            most = None if cap is None else _most(cap, quota)
            if most is not None:
                yield from self._over(key, request, most, AllocationStatus.NAMESPACE_QUOTA_EXCEEDED, what)

    def _over(
        self,
        key: tuple[str, ...],
        request: Resources,
        most: Resources,
        status: AllocationStatus,
        what: str,
        besides: Resources = _NONE,
    ) -> Iterator[Shortfall]:
        used, limits = self._used.get(key, _NOTHING), _limits(most)
        more = _NOTHING if besides is _NONE else _limits(besides)
        for name, amount in _units(request):
            taken = used.get(name, 0) + more.get(name, 0)
            if taken + amount > limits.get(name, 0):
                resource = KINDS.get(name, name)
                shown = Decimal(taken) / MILLIS if name == "cpu" else taken
                yield Shortfall(status, what, resource, request.amount(resource), shown, most.amount(resource))

    def _add(self, token: str, namespace: str, scope: Scope, request: Resources) -> None:
        keys: list[tuple[str, ...]] = [(namespace,), _project(namespace, scope), _domain(namespace, scope)]
        keys += (_capped(namespace, of) for of in self._caps if of.holds(scope))
        units = _units(request)
        self._held[token] = _Held(namespace, scope, request, units, keys)
        for key in keys if units else ():
            used = self._used.setdefault(key, {})
            for resource, amount in units:
                used[resource] = used.get(resource, 0) + amount


# Keys differ in their lengths and never hold names that were put together: no name can be taken for another.


def _project(namespace: str, scope: Scope) -> tuple[str, ...]:
    return (namespace, scope.project)


def _domain(namespace: str, scope: Scope) -> tuple[str, ...]:
    return (namespace, scope.project, scope.namespace)


def _capped(namespace: str, scope: Scope) -> tuple[str, ...]:
    return (namespace, *scope, "capped")


def _lasting(amount: Resources) -> Resources:
    return amount.with_launches(0)


def _asked(request: Resources) -> Resources:
    given: object = request
    if not isinstance(given, Resources):
        raise ValueError(f"{given!r} is no request: give Resources")
    if request.is_negative:
        raise ValueError(f"{request} cannot be allocated: it is negative")
    return _lasting(request)


@lru_cache(maxsize=4096)
def _units(amount: Resources) -> Units:
    found = {"cpu": int(amount.cpu * MILLIS), "mem": int(amount.mem), **amount.named}
    return tuple((name, number) for name, number in found.items() if number)


@lru_cache(maxsize=4096)
def _limits(amount: Resources) -> Mapping[str, int]:
    return dict(_units(amount))


@lru_cache(maxsize=4096)
def _most(cap: Cap, quota: Resources) -> Resources | None:
    return most_of(checked_cap(cap), quota)
