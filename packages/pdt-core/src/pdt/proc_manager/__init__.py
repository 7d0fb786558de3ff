"""Process managers: where and how the processes of a ProcessTask run."""

from .base import STDOUT, AbstractProcessManager
from .local import LocalLinuxManager

__all__ = ["STDOUT", "AbstractProcessManager", "LocalLinuxManager"]
