"""Tasks: units of execution that act on repositories."""

from typing import TYPE_CHECKING

from ..link import Link
from .base import Task
from .executor import ExecutorTask
from .function import FunctionTask, FunctionTaskProtocol, InProcessSyncTask
from .tracked import TrackedTask

if TYPE_CHECKING:
    from .process import STDOUT, ProcessTask

__all__ = [
    "STDOUT",
    "ExecutorTask",
    "FunctionTask",
    "FunctionTaskProtocol",
    "InProcessSyncTask",
    "Link",
    "ProcessTask",
    "Task",
    "TrackedTask",
]


def __getattr__(name: str) -> object:
    if name not in ("STDOUT", "ProcessTask"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Late: what processes need costs the start of every command.
    from . import process

    return getattr(process, name)
