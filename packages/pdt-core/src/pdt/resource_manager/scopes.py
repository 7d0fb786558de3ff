"""For what something is held, and how much of a quota that may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from numbers import Rational
from typing import NamedTuple

from .quantity import EXACT
from .resources import Resources

__all__ = ["Cap", "Constraints", "Scope", "checked_cap", "most_of", "scope_of"]

#: The least of an amount of cores that there is a part of.
MILLI = Decimal("0.001")


class Scope(NamedTuple):
    """For what a token is held; of a cap, what it is for, with an empty text for any."""

    pipeline: str = ""
    project: str = ""
    namespace: str = ""
    executor: str = ""
    task: str = ""

    def holds(self, other: Scope) -> bool:
        """Tell whether this, the scope of a cap, holds another one: whole parts are compared, never beginnings."""
        return all(not mine or mine == part for mine, part in zip(self, other, strict=True))

    def __str__(self) -> str:
        return ", ".join(f"{name} {part}" for name, part in self._asdict().items() if part) or "everything"


#: How much of a quota a scope may hold: an amount, or a share of the quota, of which 0 is nothing; None is no cap.
Cap = Resources | Fraction | float | int | None


@dataclass(frozen=True)
class Constraints:
    """The caps of one call.

    :param project: on all that the scope's project holds of the resource namespace.
    :param namespace: on all that the scope's namespace in that project holds of it.
    """

    project: Cap = None
    namespace: Cap = None


def scope_of(parts: Sequence[str]) -> Scope:
    """Return the scope that up to five texts are.

    :raises ValueError: if they are none.
    """
    if isinstance(parts, Scope):
        return parts
    if isinstance(parts, str) or len(parts) > len(Scope._fields) or not all(type(part) is str for part in parts):
        raise ValueError(f"{parts!r} is no scope: give up to five texts: {', '.join(Scope._fields)}")
    return Scope(*parts)


def checked_cap(cap: Cap) -> Cap:
    """Return a cap.

    :raises ValueError: if it is none.
    """
    if cap is None or isinstance(cap, Resources):
        fits = cap is None or not cap.is_negative
    else:
        fits = not isinstance(cap, bool) and isinstance(cap, Rational | float) and 0 <= cap <= 1
    if not fits:
        raise ValueError(f"{cap!r} is no cap: give Resources, a share of the quota from 0 to 1, or None for no cap")
    return cap


def most_of(cap: Cap, quota: Resources) -> Resources | None:
    """Return what a cap allows of a quota: of a share of it, each amount rounded up, and so at least one."""
    if cap is None or isinstance(cap, Resources):
        return cap
    share = Fraction(repr(cap) if isinstance(cap, float) else cap)  # a tenth is meant as a tenth

    def part(amount: Decimal | int, step: Decimal) -> Decimal:
        whole = Fraction(amount) * share / Fraction(step)
        return EXACT.multiply(Decimal(-(-whole.numerator // whole.denominator)), step)

    named = {name: int(part(amount, Decimal(1))) for name, amount in quota.named.items()}
    return Resources(part(quota.cpu, MILLI), part(quota.mem, Decimal(1)), 0, named=named)
