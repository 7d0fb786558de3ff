"""What a machine has, and who has been given how much of it."""

from .alloc import MachineResources
from .allocated import Allocated
from .manager import MachineResourceManager
from .request import AllocRequest

__all__ = ["AllocRequest", "Allocated", "MachineResourceManager", "MachineResources"]
