"""A quota that is what the machine has."""

from __future__ import annotations

import os

from ..manager import ResourceManager
from .alloc import MachineResources, Probe

__all__ = ["MachineResourceManager"]


class MachineResourceManager(ResourceManager):
    """A quota of everything that this process may use of the machine, for what it runs there.

    :param local_disk: a path on the file system whose free space is the quota of disk.
    :param probe: what tells what there is.
    :raises OSError: if there is nothing at the path.
    """

    id = "machine"

    def __init__(self, local_disk: str | os.PathLike[str] = ".", *, probe: Probe | None = None) -> None:
        super().__init__(MachineResources(local_disk, probe=probe).fetch())
