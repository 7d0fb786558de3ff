"""Quantities such as 200Mi, read strictly and exactly."""

from __future__ import annotations

import re
from decimal import Context, Decimal, Inexact

__all__ = ["EXACT", "parse_quantity"]

#: Arithmetic that does not depend on what a program has set for its own, and never rounds unnoticed.
EXACT = Context(prec=100, traps=[Inexact])

_FORM = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:([eE][+-]?[0-9]{1,3})|([KMGTPE]i|[numkMGTPE]))?", re.ASCII)
_SCALE = {
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"], 1)},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(["n", "u", "m", "", *"kMGTPE"], -3)},
}
MOST_DIGITS = 40
LARGEST = Decimal(2) ** 63
ACCEPTED = "a number of at least 0, optionally with one of n u m k M G T P E Ki Mi Gi Ti Pi Ei, such as 500m or 1.5Gi"


def parse_quantity(quantity: str | float | int | Decimal) -> Decimal:
    """Return the number that a quantity such as "200Mi" stands for.

    :param quantity: text in the canonical form of Kubernetes, or a number.
    :raises ValueError: if it is none, is negative, or is 2**63 or more.

    Source: https://github.com/kubernetes/apimachinery/blob/master/pkg/api/resource/quantity.go
    """
    if isinstance(quantity, bool) or not isinstance(quantity, str | int | float | Decimal):
        raise ValueError(f"{quantity!r} is not a quantity: give {ACCEPTED}")
    # Python does not write whole numbers of thousands of digits, but in hexadecimal.
    huge = isinstance(quantity, int) and abs(quantity) >= LARGEST
    text = f"{quantity:#x}" if huge else str(quantity)
    if isinstance(quantity, int) and quantity >= LARGEST:
        raise ValueError(f"{_shown(text)} is too large: a quantity is less than 2**63")
    match = _FORM.fullmatch(text) if len(text) <= MOST_DIGITS else None
    if match is None:
        raise ValueError(f"{_shown(text)} is not a quantity: give {ACCEPTED}")
    number, exponent, suffix = match.groups()
    value = EXACT.multiply(Decimal(number + (exponent or "")), _SCALE[suffix or ""])
    if value >= LARGEST:
        raise ValueError(f"{text!r} is too large: a quantity is less than 2**63")
    return value


def _shown(text: str) -> str:
    return ascii(text) if len(text) <= MOST_DIGITS else f"{text[:MOST_DIGITS]!a}..."
