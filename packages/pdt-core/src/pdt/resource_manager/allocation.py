"""How a request for a part of a quota is answered."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from ..errors import ConfigurationError, PdtError
from .resources import Resource

__all__ = [
    "Allocation",
    "AllocationStatus",
    "DuplicateNamespaceError",
    "QuotaRangeError",
    "Shortfall",
    "TokenConflictError",
    "UnknownNamespaceError",
]


class UnknownNamespaceError(ConfigurationError):
    """A resource namespace has no quota."""


class DuplicateNamespaceError(ConfigurationError):
    """A resource namespace has a quota already."""


class QuotaRangeError(ConfigurationError):
    """A quota is nothing, negative, or more than the maximum."""


class TokenConflictError(PdtError):
    """A token has been granted something else."""


class AllocationStatus(Enum):
    """How a request was answered."""

    GRANTED = "granted"
    EXHAUSTED = "exhausted"
    NAMESPACE_QUOTA_EXCEEDED = "namespace quota exceeded"


@dataclass(frozen=True)
class Shortfall:
    """A limit that a request exceeds.

    :param status: what the request is answered because of it.
    :param scope: what the limit is on.
    :param resource: what is short.
    :param wanted: how much of it is asked for.
    :param used: how much of it is held.
    :param cap: how much of it there may be.
    """

    status: AllocationStatus
    scope: str
    resource: Resource
    wanted: Decimal | int | None
    used: Decimal | int | None
    cap: Decimal | int | None


@dataclass(frozen=True)
class Allocation:
    """The answer to a request.

    :param status: what it is.
    :param shortfall: the first limit that it exceeds, if it was not granted.
    """

    status: AllocationStatus
    shortfall: Shortfall | None = None

    @property
    def is_granted(self) -> bool:
        """Whether the token holds what was asked for."""
        return self.status is AllocationStatus.GRANTED
