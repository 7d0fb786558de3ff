"""Amounts of resources, and their arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from enum import Enum

from .quantity import parse_quantity

__all__ = ["ResourceType", "Resources"]

Quantity = str | float | int | Decimal


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
    """

    cpu: Decimal = Decimal(0)
    mem: Decimal = Decimal(0)
    launches: int | None = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "cpu", Decimal(self.cpu).quantize(Decimal("0.001"), ROUND_CEILING).normalize() + 0)
        object.__setattr__(self, "mem", Decimal(self.mem).to_integral_value(ROUND_CEILING))

    @staticmethod
    def zero() -> Resources:
        """Return the amount of nothing, where sums begin."""
        return Resources(launches=0)

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
        return Resources(self.cpu + other.cpu, self.mem + other.mem, launches)

    def __sub__(self, other: Resources) -> Resources:
        launches = None if self.launches is None or other.launches is None else self.launches - other.launches
        return Resources(self.cpu - other.cpu, self.mem - other.mem, launches)

    def __mul__(self, times: int) -> Resources:
        launches = None if self.launches is None else self.launches * times
        return Resources(self.cpu * times, self.mem * times, launches)

    __rmul__ = __mul__

    def excess(self, limit: Resources) -> ResourceType | None:
        """Return the first resource of which this is more than `limit`, or None if there is none."""
        for resource, cap in limit._amounts():
            amount = self.amount(resource)
            if cap is not None and (amount is None or amount > cap):
                return resource
        return None
