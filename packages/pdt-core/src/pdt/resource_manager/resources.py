"""Amounts of resources, and their arithmetic."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Context, Decimal, InvalidOperation
from enum import Enum

from .quantity import EXACT, parse_quantity

__all__ = ["KINDS", "Resource", "ResourceType", "Resources", "label_of", "name_of"]

Quantity = str | float | int | Decimal

#: What an amount that is named freely goes by, such as gpu or license:matlab.
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,31}(?::[A-Za-z0-9_.-]{1,63})?", re.ASCII)
_TAKEN = frozenset({"cpu", "mem", "launches", "rate"})
_ROUNDING = Context(prec=EXACT.prec, traps=[InvalidOperation])


class ResourceType(Enum):
    """A kind of resource."""

    CPU = 1
    MEM = 2
    RATE = 3
    DISK = 4
    GPU = 5
    GPU_MEM = 6


#: A kind of resource; those that have no kind go by their name.
Resource = ResourceType | str
#: The kinds by the names that they have in a quota.
KINDS: dict[str, ResourceType] = {kind.name.lower(): kind for kind in ResourceType}


def name_of(resource: Resource) -> str:
    """Return the name that a resource goes by in a quota."""
    return resource if isinstance(resource, str) else resource.name.lower()


def label_of(resource: Resource) -> str:
    """Return what a resource is called in a message."""
    return resource if isinstance(resource, str) else resource.name


@dataclass(frozen=True)
class Resources:
    """An amount of each resource.

    :param cpu: cores; kept to the thousandth, rounded up.
    :param mem: bytes; whole, rounded up.
    :param launches: starts of jobs; None where it is a quota without a limit on them.
    :param named: whole numbers of anything else, by name: `disk` and `gpu_mem` in bytes, `gpu` in devices, or a counter
        of one's own such as `license:matlab`. A quota has none of what it does not name.
    :raises ValueError: if one of them is no finite number, `launches` or one in `named` not whole, or a name is none.
    """

    cpu: Decimal = Decimal(0)
    mem: Decimal = Decimal(0)
    launches: int | None = 1
    named: Mapping[str, int] = field(default_factory=dict, hash=False, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cpu", _rounded_up("cpu", self.cpu, Decimal("0.001")))
        object.__setattr__(self, "mem", _rounded_up("mem", self.mem, Decimal(1)))
        if self.launches is not None and type(self.launches) is not int:
            raise ValueError(f"launches {self.launches!r} is not a whole number: use Resources.parse for text")
        for name, amount in self.named.items():
            if type(name) is not str or name in _TAKEN or not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} cannot name a resource: use a name such as gpu, disk or license:matlab")
            if type(amount) is not int:
                raise ValueError(f"{name} {amount!r} is not a whole number: use Resources.parse for text")
        object.__setattr__(self, "named", _without_zeros(self.named))

    @staticmethod
    def zero() -> Resources:
        """Return the amount of nothing, where sums begin."""
        return _ZERO

    @staticmethod
    def parse(cpu: Quantity, mem: Quantity, launches: Quantity | None = None, **named: Quantity) -> Resources:
        """Return the amounts that quantities stand for.

        :param launches: starts of jobs; None for no limit.
        :param named: anything else, by name; where that has other characters, `**{"license:matlab": 1}`.
        :raises ValueError: if one is no quantity, one but `cpu` and `mem` is not whole, or a name is none.
        """
        starts = None if launches is None else _whole("launches", launches)
        others = {name: _whole(name, amount) for name, amount in named.items()}
        return Resources(parse_quantity(cpu), parse_quantity(mem), starts, named=others)

    def amount(self, resource: Resource) -> Decimal | int | None:
        """Return the amount of one resource; None is no limit."""
        if resource is ResourceType.CPU:
            return self.cpu
        if resource is ResourceType.MEM:
            return self.mem
        return self.launches if resource is ResourceType.RATE else self.named.get(name_of(resource), 0)

    def __add__(self, other: Resources) -> Resources:
        launches = None if self.launches is None or other.launches is None else self.launches + other.launches
        named = _sum(self.named, other.named, 1)
        return _exact(EXACT.add(self.cpu, other.cpu), EXACT.add(self.mem, other.mem), launches, named)

    def __sub__(self, other: Resources) -> Resources:
        launches = None if self.launches is None or other.launches is None else self.launches - other.launches
        named = _sum(self.named, other.named, -1)
        return _exact(EXACT.subtract(self.cpu, other.cpu), EXACT.subtract(self.mem, other.mem), launches, named)

    def __mul__(self, times: int) -> Resources:
        if times == 1:
            return self
        launches = None if self.launches is None else self.launches * times
        named = _sum(_NOTHING, self.named, times)
        return _exact(EXACT.multiply(self.cpu, times), EXACT.multiply(self.mem, times), launches, named)

    __rmul__ = __mul__

    def at_least_zero(self) -> Resources:
        """Return this with what is negative in it set to zero, and no limit on launches as well."""
        named = {name: amount for name, amount in self.named.items() if amount > 0} if self.named else _NOTHING
        return _exact(max(self.cpu, _ZERO.cpu), max(self.mem, _ZERO.mem), max(self.launches or 0, 0), named)

    @property
    def is_negative(self) -> bool:
        """Whether any of the amounts is."""
        return self.cpu < 0 or self.mem < 0 or (self.launches or 0) < 0 or any(n < 0 for n in self.named.values())

    def with_launches(self, launches: int) -> Resources:
        """Return this with another number of launches."""
        return _exact(self.cpu, self.mem, launches, self.named)

    def excess(self, limit: Resources) -> Resource | None:
        """Return the first resource of which this is more than `limit`, or None if there is none."""
        if self.cpu > limit.cpu:
            return ResourceType.CPU
        if self.mem > limit.mem:
            return ResourceType.MEM
        if limit.launches is not None and (self.launches is None or self.launches > limit.launches):
            return ResourceType.RATE
        for name in sorted(self.named, key=lambda name: (name not in KINDS, name)) if self.named else ():
            if self.named[name] > limit.named.get(name, 0):
                return KINDS.get(name, name)
        return None


_NOTHING: Mapping[str, int] = {}


def _without_zeros(named: Mapping[str, int]) -> Mapping[str, int]:
    return {name: amount for name, amount in named.items() if amount} if named else _NOTHING


def _sum(one: Mapping[str, int], other: Mapping[str, int], times: int) -> Mapping[str, int]:
    """Return the sum of some amounts and so many times others."""
    if not other:
        return one
    return _without_zeros({name: one.get(name, 0) + times * other.get(name, 0) for name in {**one, **other}})


def _whole(name: str, quantity: Quantity) -> int:
    count = parse_quantity(quantity)
    if count != count.to_integral_value():
        raise ValueError(f"{name} {quantity!r} is not a whole number")
    return int(count)


def _exact(cpu: Decimal, mem: Decimal, launches: int | None, named: Mapping[str, int]) -> Resources:
    """Return amounts that need no rounding: sums and multiples of amounts that were rounded."""
    amounts = object.__new__(Resources)
    # It is a frozen dataclass, whose checks cost more than the arithmetic.
    amounts.__dict__.update(cpu=cpu, mem=mem, launches=launches, named=named)
    return amounts


def _rounded_up(name: str, amount: Decimal, step: Decimal) -> Decimal:
    """Return an amount as the next multiple of `step`, in its shortest form."""
    try:
        rounded = Decimal(amount).quantize(step, ROUND_CEILING, _ROUNDING)
    except (InvalidOperation, TypeError, ValueError):
        rounded = Decimal("NaN")
    if not rounded.is_finite():
        raise ValueError(f"{name} {amount!r} is not a finite number: use Resources.parse for text")
    whole = rounded.to_integral_value(context=_ROUNDING)
    return whole if rounded == whole else rounded.normalize(_ROUNDING)


_ZERO = Resources(launches=0)
