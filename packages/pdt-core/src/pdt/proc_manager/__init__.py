"""Process managers: where and how the processes of a ProcessTask run."""

from .base import AbstractProcessManager
from .local import LocalLinuxManager
from .stdout import STDOUT

__all__ = ["STDOUT", "AbstractProcessManager", "LocalLinuxManager"]
