"""Whether the kernel has killed processes for want of memory, as their memory cgroup counts it."""

from __future__ import annotations

import os
from collections.abc import Iterator

__all__ = ["OomCounter"]

#: By the type of the file system, the file that has the count.
_FILES = {"cgroup2": "memory.events", "cgroup": "memory.oom_control"}


class OomCounter:
    """Tells which attempts the kernel killed for want of memory.

    They share the memory cgroup of this process unless they leave it; its count does not say who was killed, so that
    each kill is held to be of the first attempt to end as one would.
    """

    def __init__(self) -> None:
        self._file = _find()
        #: Kills that are accounted for.
        self._seen = self._count() or 0

    def took(self, *, was_killed: bool) -> bool | None:
        """Tell whether the kernel killed an attempt that has failed; None if nobody can know.

        :param was_killed: whether it ended by SIGKILL; of another, a part may have been killed.
        """
        count = self._count()
        if count is None:
            return None
        is_new = count > self._seen
        self._seen += is_new
        return is_new and was_killed

    def _count(self) -> int | None:
        if self._file is None:
            return None
        try:
            with open(self._file, "rb") as file:
                words = file.read().split()
        except OSError:
            return None
        return int(words[words.index(b"oom_kill") + 1]) if b"oom_kill" in words else None


def _find() -> str | None:
    """Return the file that counts for this process."""
    try:
        with open("/proc/self/cgroup") as file:
            groups = [line.rstrip("\n").split(":", 2) for line in file]
        with open("/proc/self/mountinfo") as file:
            mounts = [_mount(line) for line in file]
    except OSError:
        return None
    for kind, root, point, options in mounts:
        for path in _paths(kind, options, groups):
            # In a container the file system may show no more than the container's own group, as its root.
            for below in (os.path.relpath(path, root), "."):
                found = os.path.join(point, below, _FILES[kind])
                if os.path.exists(found):
                    return os.path.normpath(found)
    return None


def _mount(line: str) -> tuple[str, str, str, list[str]]:
    """Return the type, root, mount point and options that a line of /proc/self/mountinfo tells."""
    here, _, there = line.partition(" - ")
    _, _, _, root, point, *_ = here.split()
    kind, _, *options = there.split()
    return kind, root, point, ",".join(options).split(",")


def _paths(kind: str, options: list[str], groups: list[list[str]]) -> Iterator[str]:
    """Yield the paths of this process's groups on one file system, if memory is accounted for there."""
    for number, controllers, path in groups:
        if (kind == "cgroup2" and number == "0") or (
            kind == "cgroup" and "memory" in options and "memory" in controllers.split(",")
        ):
            yield path
