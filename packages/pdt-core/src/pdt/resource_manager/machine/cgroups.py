"""The control groups that this process is in, of either version: what they let it use."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

__all__ = ["Cgroups"]

#: Version 1 writes a limit that nothing reaches where there is none: the largest number, less what a page leaves over.
UNLIMITED = 1 << 62


class Cgroups:
    """Reads the limits of this process's groups and of those above them; what cannot be read limits nothing.

    :param root: the directory that /proc and /sys are in.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html and .../cgroup-v1/
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def cpus(self) -> Fraction | None:
        """Return how many processors' time the groups allow; None for all there is."""
        shares = [self._share(directory) for directory in self._directories("cpu")]
        return min((share for share in shares if share is not None), default=None)

    @staticmethod
    def _share(directory: Path) -> Fraction | None:
        words = _words(directory / "cpu.max")
        quota, period = words if len(words) == 2 else ("", "")
        if not words:
            quota, period = (_word(directory / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        if not quota.isdigit() or not period.isdigit() or not int(period):
            return None
        return Fraction(int(quota), int(period))

    def memory(self) -> int | None:
        """Return how many bytes the groups allow in all; None for all there is."""
        limits = [limit for limit, _ in self._memory()]
        return min(limits, default=None)

    def free_memory(self) -> int | None:
        """Return how many bytes the groups allow now, in addition to what they use; None for all there is."""
        return min((max(0, limit - used) for limit, used in self._memory()), default=None)

    def _memory(self) -> Iterator[tuple[int, int]]:
        """Yield the limits, each with what is used of it and cannot be given back."""
        names = (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        )
        for directory in self._directories("memory"):
            for most, now, cache in names:
                limit, used = _number(directory / most), _number(directory / now)
                if limit is not None and limit < UNLIMITED:
                    yield limit, max(0, (used or 0) - _statistic(directory / "memory.stat", cache))

    def _directories(self, controller: str) -> Iterator[Path]:
        """Yield the directories of this process's groups, each followed by those above it."""
        groups = [line.split(":", 2) for line in _lines(self._root / "proc/self/cgroup")]
        for line in _lines(self._root / "proc/self/mountinfo"):
            here, _, there = line.partition(" - ")
            _, _, _, mounted, point, *_ = here.split()
            kind, _, *options = there.split()
            for number, controllers, path in groups:
                of_version_2 = kind == "cgroup2" and number == "0"
                of_version_1 = kind == "cgroup" and controller in controllers.split(",")
                if of_version_2 or (of_version_1 and controller in ",".join(options).split(",")):
                    yield from self._upwards(self._root / point.lstrip("/"), mounted, path)

    @staticmethod
    def _upwards(point: Path, mounted: str, path: str) -> Iterator[Path]:
        # In a container the file system may show no more than the container's own group, as its root.
        below = Path(path.lstrip("/"))
        if mounted != "/" and path.startswith(mounted):
            below = Path(path.removeprefix(mounted).lstrip("/"))
        directory = point / below
        if ".." in below.parts or not directory.is_dir():
            directory = point
        yield directory
        while directory != point:
            directory = directory.parent
            yield directory


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _words(path: Path) -> list[str]:
    return next((line.split() for line in _lines(path)), [])


def _word(path: Path) -> str:
    return next(iter(_words(path)), "")


def _number(path: Path) -> int | None:
    word = _word(path)
    return int(word) if word.isdigit() else None


def _statistic(path: Path, name: str) -> int:
    for line in _lines(path):
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            return int(value)
    return 0
