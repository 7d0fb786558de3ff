"""What this machine has of each resource, and what this process may use of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from .cgroups import Cgroups

__all__ = ["Amount", "disk_at", "memory", "processors"]

#: The share of a disk that is left alone.
DISK_RESERVE = Fraction(1, 10)


@dataclass(frozen=True)
class Amount:
    """An amount of one resource.

    :param total: what the machine has.
    :param available: what this process may use of it now.
    """

    total: Decimal
    available: Decimal


def processors(root: Path = Path("/")) -> Amount:
    """Return the processors: in all, and those that affinity and control groups leave to this process."""
    total = os.cpu_count() or 1
    allowed = Fraction(len(os.sched_getaffinity(0)))
    share = Cgroups(root).cpus()
    available = allowed if share is None else min(allowed, share)
    return Amount(Decimal(total), Decimal(int(available * 1000)) / 1000)


def memory(root: Path = Path("/")) -> Amount:
    """Return the bytes of memory: in all, and those that nothing uses and control groups leave to this process."""
    figures = {}
    for line in (root / "proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        figures[name] = int(rest.split()[0]) * 1024
    groups = Cgroups(root)
    total, available = figures["MemTotal"], figures.get("MemAvailable", figures["MemFree"])
    limit, free = groups.memory(), groups.free_memory()
    total = total if limit is None else min(total, limit)
    available = available if free is None else min(available, free)
    return Amount(Decimal(total), Decimal(min(available, total)))


def disk_at(path: str | os.PathLike[str]) -> Amount:
    """Return the bytes of the file system of a path: in all, and those free but for a tenth of all.

    :raises OSError: if there is nothing at the path.
    """
    state = os.statvfs(path)
    total = state.f_blocks * state.f_frsize
    free = state.f_bavail * state.f_frsize - int(total * DISK_RESERVE)
    return Amount(Decimal(total), Decimal(max(0, free)))
