"""Amounts of resources, and their arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal, InvalidOperation
from enum import Enum

from .quantity import EXACT, parse_quantity

__all__ = ["ResourceType", "Resources"]

Quantity = str | float | int | Decimal

_ROUNDING = Context(prec=EXACT.prec, traps=[InvalidOperation])


class ResourceType(Enum):
    """A kind of resource."""

    CPU = 1
    MEM = 2
    RATE = 3


@dataclass(frozen=True)
class Resources:
    """An amount of each resource.

    :param cpu: cores; kept to the thousandth, rounded up.
    :param mem: bytes; whole, rounded up.
    :param launches: starts of jobs; None where it is a quota without a limit on them.
    :raises ValueError: if one of them is no finite number, or `launches` is not whole.
    """

    cpu: Decimal = Decimal(0)
    mem: Decimal = Decimal(0)
    launches: int | None = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "cpu", _rounded_up("cpu", self.cpu, Decimal("0.001")))
        object.__setattr__(self, "mem", _rounded_up("mem", self.mem, Decimal(1)))
        if self.launches is not None and type(self.launches) is not int:
            raise ValueError(f"launches {self.launches!r} is not a whole number: use Resources.parse for text")

    @staticmethod
    def zero() -> Resources:
        """Return the amount of nothing, where sums begin."""
        return _ZERO

    @staticmethod
    def parse(cpu: Quantity, mem: Quantity, launches: Quantity | None = None) -> Resources:
        """Return the amounts that three quantities stand for.

        :param launches: starts of jobs; None for no limit.
        :raises ValueError: if one is no quantity, or `launches` is not whole.
        """
        starts = None
        if launches is not None:
            count = parse_quantity(launches)
            if count != count.to_integral_value():
                raise ValueError(f"launches {launches!r} is not a whole number")
            starts = int(count)
        return Resources(parse_quantity(cpu), parse_quantity(mem), starts)

    def _amounts(self) -> Iterator[tuple[ResourceType, Decimal | int | None]]:
        yield ResourceType.CPU, self.cpu
        yield ResourceType.MEM, self.mem
        yield ResourceType.RATE, self.launches

    def amount(self, resource: ResourceType) -> Decimal | int | None:
        """Return the amount of one resource; None is no limit."""
        return dict(self._amounts())[resource]

    def __add__(self, other: Resources) -> Resources:
        launches = None if self.launches is None or other.launches is None else self.launches + other.launches
        return _exact(EXACT.add(self.cpu, other.cpu), EXACT.add(self.mem, other.mem), launches)

    def __sub__(self, other: Resources) -> Resources:
        launches = None if self.launches is None or other.launches is None else self.launches - other.launches
        return _exact(EXACT.subtract(self.cpu, other.cpu), EXACT.subtract(self.mem, other.mem), launches)

    def __mul__(self, times: int) -> Resources:
        if times == 1:
            return self
        launches = None if self.launches is None else self.launches * times
        return _exact(EXACT.multiply(self.cpu, times), EXACT.multiply(self.mem, times), launches)

    __rmul__ = __mul__

    def at_least_zero(self) -> Resources:
        """Return this with what is negative in it set to zero, and no limit on launches as well."""
        return _exact(max(self.cpu, _ZERO.cpu), max(self.mem, _ZERO.mem), max(self.launches or 0, 0))

    def with_launches(self, launches: int) -> Resources:
        """Return this with another number of launches."""
        return _exact(self.cpu, self.mem, launches)

    def excess(self, limit: Resources) -> ResourceType | None:
        """Return the first resource of which this is more than `limit`, or None if there is none."""
        if self.cpu > limit.cpu:
            return ResourceType.CPU
        if self.mem > limit.mem:
            return ResourceType.MEM
        if limit.launches is not None and (self.launches is None or self.launches > limit.launches):
            return ResourceType.RATE
        return None


def _exact(cpu: Decimal, mem: Decimal, launches: int | None) -> Resources:
    """Return amounts that need no rounding: sums and multiples of amounts that were rounded."""
    amounts = object.__new__(Resources)
    # It is a frozen dataclass, whose checks cost more than the arithmetic.
    amounts.__dict__.update(cpu=cpu, mem=mem, launches=launches)
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
